import Glibc

@testable import LabStore

func writeToFullDevice() throws {
    let file = try StoreFile("/dev/full", O_WRONLY)
    try file.write([1, 2, 3][...])
}
