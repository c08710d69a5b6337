import LinuxKit

/// One descriptor of a wait: the kernel's struct pollfd, member by member.
struct PollRequest {
    static let input: Int16 = 1
    static let output: Int16 = 4
    static let hangup: Int16 = 16

    var fd: Int32
    var events: Int16
    var found: Int16 = 0

    init(_ fd: Int32, _ events: Int16) {
        self.fd = fd
        self.events = events
    }

    var isReadable: Bool { found & (Self.input | Self.hangup | 8) != 0 }
    var isWritable: Bool { found & (Self.output | Self.hangup | 8) != 0 }

    /// Waits until one of the descriptors is ready.
    ///
    /// - Returns: Whether one is; `false` after `milliseconds`, or when a signal came.
    static func wait(_ requests: inout [PollRequest], milliseconds: Int) throws(LinuxError) -> Bool {
        // SAFETY: the array's elements have the layout of struct pollfd (int, short, short), and the kernel writes
        // only their last member.
        let answer = requests.withUnsafeMutableBytes { buffer in
            Kernel.attempt(
                .poll, UInt64(UInt(bitPattern: buffer.baseAddress)), UInt64(buffer.count / 8),
                UInt64(bitPattern: Int64(max(milliseconds, 0))))
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .interrupted { return false }
            throw .call("poll", object: "\(requests.count) descriptors", errno)
        }
        return answer > 0
    }
}
