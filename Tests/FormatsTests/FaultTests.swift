import CFaults
import Foundation
import Testing

@testable import Formats

/// What calls of the system and of libraries that fail lead to: a sentence, and nothing lost.
@Suite struct FaultTests {
  /// Lets one call of `function` after the other fail, until `body` makes no more of them.
  ///
  /// - Parameter then: called after each, and once more when none has failed.
  /// - Returns: what was thrown for each.
  private func problems<Result>(
    _ function: String, _ code: Int32 = EIO, _ body: () throws -> Result, then: () -> Void = {}
  ) -> [String] {
    var problems: [String] = []
    while problems.count < 1000 {
      faults_begin(function, Int32(problems.count + 1), code)
      let found = problem(body)
      let hasFailed = faults_end() != 0
      then()
      guard hasFailed else { return problems }
      problems.append(found)
    }
    return problems
  }

  private static let reason = String(cString: strerror(EIO))

  @Test func readingFailsOrGoesOn() throws {
    try withFolder { folder in
      let path = folder + "/file"
      let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
      try File.writeAtomically(bytes, to: path)
      for function in ["open", "fstat", "pread"] {
        #expect(
          problems(function) { try File.read(path) } == ["\(path): cannot be read: \(Self.reason)"])
      }
      // Interrupted, it is called again; at an end that comes too early there are fewer bytes.
      var found: [[UInt8]] = []
      #expect(problems("pread", EINTR) { found.append(try File.read(path)) } == [""])
      #expect(found == [bytes, bytes])
      #expect(problems("pread", 0) { found.append(try File.read(path)) } == [""])
      #expect(found == [bytes, bytes, [], bytes])
    }
  }

  @Test func whatStoodBeforeStandsUntilAllIsWritten() throws {
    try withFolder { folder in
      let path = folder + "/file"
      try File.writeAtomically([1], to: path)
      let refused = ["\(path): cannot be written: \(Self.reason)"]
      for (function, expected) in [
        ("open", refused), ("openat", refused), ("write", refused), ("renameat", refused),
        ("fsync", refused + ["\(path): cannot be synced: \(Self.reason)"]),
      ] {
        var contents: [[UInt8]] = []
        let found = problems(function) {
          try File.writeAtomically([2, 3], to: path)
        } then: {
          contents.append((try? File.read(path)) ?? [])
        }
        #expect(found == expected)
        // The last call did not fail. A folder that is not synced has the new file.
        let old =
          function == "fsync" ? [[1], [2, 3]] : [[UInt8]](repeating: [1], count: found.count)
        #expect(contents == old + [[2, 3]], "\(function)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
        try File.writeAtomically([1], to: path)
      }
      let interrupted = problems("write", EINTR) { try File.writeAtomically([2], to: path) }
      #expect(interrupted == [""])
      // Some file systems cannot sync a folder.
      #expect(
        problems("fsync", EINVAL) { try File.writeAtomically([2], to: path) }
          == ["\(path): cannot be written: \(String(cString: strerror(EINVAL)))", ""])
    }
  }

  @Test func aFolderIsMovedOrStays() throws {
    try withFolder { folder in
      let (from, to) = (folder + "/from", folder + "/to")
      func make() throws {
        try? FileManager.default.removeItem(atPath: to)
        try FileManager.default.createDirectory(atPath: from, withIntermediateDirectories: true)
      }
      let synced = ["\(to): cannot be synced: \(Self.reason)"]
      for (function, expected) in [
        ("rename", ["\(to): cannot be written: \(Self.reason)"]), ("open", synced),
        ("fsync", synced),
      ] {
        let found = problems(function) {
          try make()
          try File.move(folder: from, to: to)
        }
        #expect(found == expected, "\(function)")
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names == ["to"])
    }
  }

  @Test func librariesWithoutMemoryAreASentence() throws {
    let tensor = Tensor(shape: [2], elements: [1, 2])
    let archive = try NPZ.encode(tensor, name: "z")
    for function in [
      "zip_source_buffer_create", "zip_open_from_source", "zip_source_buffer", "zip_source_stat",
      "zip_source_read",
    ] {
      let found = problems(function) { try NPZ.encode(tensor, name: "z") }
      #expect(!found.isEmpty, "\(function)")
      for problem in found {
        #expect(problem.hasPrefix("the archive of z: cannot be made ("), "\(function): \(problem)")
      }
    }
    #expect(try NPZ.encode(tensor, name: "z") == archive)
    for (function, expected) in [
      ("zip_source_buffer_create", "f: is not an NPZ file (Malloc failure)"),
      ("zip_open_from_source", "f: is not an NPZ file (Malloc failure)"),
      ("zip_stat_index", #"f, "z.npy": is damaged (Malloc failure)"#),
      ("zip_fopen_index", #"f, "z.npy": cannot be read (Malloc failure)"#),
    ] {
      let found = problems(function) {
        try NPZ.array(["z"], of: archive, file: "f", limit: 1 << 20)
      }
      // Those after it are made by the library itself.
      #expect(found.first == expected && !found.contains(""))
    }

    // Noise: few bytes that inflate to many are counted in another way.
    var state: UInt64 = 1
    let bytes = (0..<30_000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return UInt8(state >> 56)
    }
    #expect(
      problems("png_image_write_to_memory") {
        try PNG.encode(width: 100, height: 100, channels: 3, bytes: bytes)
      } == ["PNG of 100 x 100 x 3: cannot be made: out of memory"])
    let png = try PNG.encode(width: 100, height: 100, channels: 3, bytes: bytes)
    #expect(
      problems("inflateInit_") { try PNG.decode(png, file: "f") }.first
        == "f: cannot be inflated: zlib does not start")
    let gzip = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0] as [UInt8]
    #expect(try Gzip.inflate(gzip, limit: 10, file: "f") == [])
    #expect(
      problems("inflateInit2_") { try Gzip.inflate(gzip, limit: 10, file: "f") }
        == ["f: cannot be inflated: zlib does not start"])
  }
}
