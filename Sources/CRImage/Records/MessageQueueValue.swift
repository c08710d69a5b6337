/// A POSIX message queue.
public struct MessageQueueValue: ImageValue {
    /// How many messages it can hold.
    public var limit: UInt64 = 0
    public var messageBytes: UInt64 = 0
    /// Whether the image holds its messages: its name was removed, or its namespace comes with the tree. Otherwise the
    /// destination must have it.
    public var isCarried = false
    public var isRemoved = false
    /// What waits in it, the next one to be received first.
    public var messages: [QueuedMessageValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("queueLimit", &limit)
        try fields.number("queueMessageBytes", &messageBytes)
        try fields.flag("isQueueCarried", &isCarried)
        try fields.flag("isQueueRemoved", &isRemoved)
        try fields.list("queueMessages", &messages)
    }
}

/// One message of a POSIX message queue.
public struct QueuedMessageValue: ImageValue {
    public var priority: UInt32 = 0
    public var bytes: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("priority", &priority)
        try fields.bytes("bytes", &bytes)
    }
}
