internal import CREngine

/// What stands on the command line behind a command's name.
///
/// The package's argument parser needs Foundation, which a fully static executable cannot carry; this knows long options
/// with values, flags and one operand, which is all that crengine has.
struct Arguments {
    /// Why a command line cannot be understood; one line for a person.
    struct Failure: Error {
        let message: String
    }

    private(set) var values: [String: [String]] = [:]
    private(set) var flags: Set<String> = []
    private(set) var operands: [String] = []
    /// What stands behind `--`.
    private(set) var rest: [String] = []

    /// - Parameter command: The command in ``Manual`` whose options these are; `--pid 5` or `--pid=5`.
    init(_ words: [String], for command: String) throws(Failure) {
        let valued = Manual.command(command).valued
        let known = Manual.command(command).flags
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word == "--" {
                rest = Array(words[index...])
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                operands.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            if known.contains(name), parts.count == 1 {
                flags.insert(name)
            } else if valued.contains(name) {
                if parts.count == 2 {
                    values[name, default: []].append(parts[1])
                } else {
                    guard index < words.count else { throw Failure(message: "\(name) needs a value") }
                    values[name, default: []].append(words[index])
                    index += 1
                }
            } else {
                throw Failure(message: "unknown option \(word)")
            }
        }
    }

    /// The last value of an option.
    func value(_ name: String) -> String? { values[name]?.last }

    /// The last value as a PID or another positive number.
    func number(_ name: String) throws(Failure) -> Int32? {
        guard let text = value(name) else { return nil }
        guard let number = Int32(text), number > 0 else {
            throw Failure(message: "\(name) takes a positive number, not '\(text)'")
        }
        return number
    }

    /// `--tcp keep|close`.
    func tcp() throws(Failure) -> TCPConnections {
        guard let text = value("--tcp") else { return .keep }
        guard let mode = TCPConnections(rawValue: text) else {
            throw Failure(message: "--tcp takes keep or close, not '\(text)'")
        }
        return mode
    }

    /// `--format table|json`.
    func isJSON() throws(Failure) -> Bool {
        switch value("--format") ?? "table" {
        case "json": return true
        case "table": return false
        case let other: throw Failure(message: "--format takes table or json, not '\(other)'")
        }
    }

    func noOperands() throws(Failure) {
        if let operand = operands.first { throw Failure(message: "unexpected argument '\(operand)'") }
    }
}
