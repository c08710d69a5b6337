import LabCommands

@main
struct Main {
    static func main() async {
        await Crlab.main()
    }
}
