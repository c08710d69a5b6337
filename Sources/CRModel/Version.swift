/// The version of crlab: of the lab, the agent and the engine alike, since they are built together.
public enum CrlabVersion {
    public static let current = "0.1.0"
}
