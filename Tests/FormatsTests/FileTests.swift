import Foundation
import Testing

@testable import Formats

@Suite struct FileTests {
  @Test func writtenBytesAreReadBack() throws {
    try withFolder { folder in
      let path = folder + "/file"
      for bytes in [[], [7], [UInt8](repeating: 1, count: 3_000_000)] {
        try File.writeAtomically(bytes, to: path)
        #expect(try File.read(path) == bytes)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
    }
  }

  @Test func aMissingFileIsNamedWithTheSystemsReason() {
    let path = "/nonexistent/file"
    #expect(problem { try File.read(path) } == "\(path): cannot be read: No such file or directory")
    #expect(problem { try File.read("") } == ": cannot be read: No such file or directory")
    #expect(
      problem { try File.writeAtomically([1], to: path) }
        == "\(path): cannot be written: No such file or directory")
  }

  @Test func onlyRegularFilesAreRead() throws {
    try withFolder { folder in
      #expect(problem { try File.read(folder) } == "\(folder): cannot be read: it is a folder")
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      #expect(problem { try File.read(pipe) } == "\(pipe): cannot be read: it is no regular file")
      let device = "/dev/zero"
      #expect(problem { try File.read(device) }.hasSuffix("cannot be read: it is no regular file"))
    }
  }

  @Test func aFileLargerThanTheLimitIsNotRead() throws {
    try withFolder { folder in
      let path = folder + "/file"
      try File.writeAtomically([1, 2, 3], to: path)
      #expect(try File.read(path, limit: 3) == [1, 2, 3])
      #expect(
        problem { try File.read(path, limit: 2) } == "\(path): has 3 bytes; at most 2 are read")
    }
  }

  @Test func aPathWithoutFolderIsOneInTheCurrentFolder() throws {
    let name = "formats-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: name) }
    try File.writeAtomically([5], to: name)
    #expect(try File.read("./" + name) == [5])
  }

  // Root may write anywhere, so failures are provoked by what root cannot do either.
  @Test func afterAFailureEverythingStandsAsBefore() throws {
    try withFolder { folder in
      let target = folder + "/name"
      try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: false)
      try File.writeAtomically([1], to: target + "/inside")

      #expect(
        problem { try File.writeAtomically([2], to: target) }
          == "\(target): cannot be written: Is a directory")
      #expect(
        problem { try File.writeAtomically([2], to: target + "/") }
          == "\(target)/: cannot be written: it does not name a file")
      #expect(problem { try File.writeAtomically([2], to: target + "/.") }.contains("written"))
      #expect(
        problem { try File.writeAtomically([2], to: target + "/inside/x") }
          == "\(target)/inside/x: cannot be written: Not a directory")

      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["name"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: target) == ["inside"])
      #expect(try File.read(target + "/inside") == [1])
    }
  }

  #if canImport(Glibc)
    @Test func aFullDiskLeavesTheOldFile() throws {
      try withFolder { folder in
        let path = folder + "/file"
        try File.writeAtomically([1], to: path)
        // A limit on the size of files fails a write part of the way, as a full disk does. Without
        // ignoring the signal that comes with it, the process would end. The limit is on the
        // process, so it is high, lest it stop tests that run at the same time.
        let handler = signal(SIGXFSZ, SIG_IGN)
        var (old, new) = (rlimit(), rlimit())
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
        new = rlimit(rlim_cur: 64 << 20, rlim_max: old.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &new)
        let message = problem {
          try File.writeAtomically([UInt8](repeating: 2, count: 65 << 20), to: path)
        }
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
        signal(SIGXFSZ, handler)

        #expect(message == "\(path): cannot be written: File too large")
        #expect(try File.read(path) == [1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
      }
    }
  #endif
}
