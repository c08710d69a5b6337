/// Names runs so that they sort by start.
public enum RunIdentifier {
    /// `20261121-101530-quickstart-1a2b`, time in UTC.
    ///
    /// - Parameters:
    ///   - scenario: Characters that a folder's name should not have become `-`; at most 40 are used.
    ///   - random: Tells runs apart that start in the same second.
    public static func make(scenario: String, secondsSince1970: Int64, random: UInt16) -> String {
        let name = scenario.prefix(40).map { character in
            character.isASCII && (character.isLetter || character.isNumber || "._".contains(character))
                ? character : "-"
        }
        let hexadecimal = String(random, radix: 16)
        return timestamp(secondsSince1970) + "-" + (name.isEmpty ? "scenario" : String(name)) + "-"
            + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
    }

    private static func timestamp(_ seconds: Int64) -> String {
        let (date, time) = parts(seconds)
        return padded(date.year, 4) + padded(date.month, 2) + padded(date.day, 2) + "-" + padded(time.hour, 2)
            + padded(time.minute, 2) + padded(time.second, 2)
    }

    /// `2026-11-21T10:15:30Z`.
    public static func iso8601(secondsSince1970 seconds: Int64) -> String {
        let (date, time) = parts(seconds)
        return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
            + padded(time.hour, 2) + ":" + padded(time.minute, 2) + ":" + padded(time.second, 2) + "Z"
    }

    private static func parts(
        _ seconds: Int64
    ) -> (date: (year: Int, month: Int, day: Int), time: (hour: Int, minute: Int, second: Int)) {
        // A clock before 1970 is a broken clock; it must not trap.
        let seconds = min(max(seconds, 0), 253_402_300_799)
        var day = Int(seconds / 86_400)
        let second = Int(seconds % 86_400)
        var year = 1970
        func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
        while day >= (isLeap(year) ? 366 : 365) {
            day -= isLeap(year) ? 366 : 365
            year += 1
        }
        var month = 1
        for length in [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            guard day >= length else { break }
            day -= length
            month += 1
        }
        return ((year, month, day + 1), (second / 3600, second / 60 % 60, second % 60))
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
