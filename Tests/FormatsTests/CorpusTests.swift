import Foundation
import Testing

@testable import Formats

/// What scripts/fuzz begins with: files of all kinds, whole and damaged.
@Suite struct CorpusTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz/Corpus")

  @Test(
    "Every file of the corpus gives a value, or an error that names it",
    arguments: ["cifar10", "gzip", "idx", "npy", "npz", "png", "safetensors"])
  func replay(format: String) throws {
    let folder = Self.folder.appendingPathComponent(format).path
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    var read = 0
    for name in names {
      let bytes = try File.read("\(folder)/\(name)")
      do {
        try decode(format, bytes, file: name)
        read += 1
      } catch {
        let error = try #require(error as? FormatError, "\(format)/\(name)")
        #expect(error.description.hasPrefix(name) && !error.problem.isEmpty)
      }
    }
    #expect(0 < read && read < names.count, "some must be whole, some damaged")
  }

  private func decode(_ format: String, _ bytes: [UInt8], file: String) throws {
    switch format {
    case "cifar10": _ = try CIFAR10.images(bytes, file: file)
    case "gzip": _ = try Gzip.inflate(bytes, limit: 1 << 20, file: file)
    case "idx" where bytes.dropFirst(3).first == 1: _ = try IDX.labels(bytes, file: file)
    case "idx": _ = try IDX.images(bytes, file: file)
    case "npy": _ = try NPY.decode(bytes, file: file)
    case "npz": _ = try NPZ.array(["images"], of: bytes, file: file, limit: 1 << 20)
    case "png": _ = try PNG.decode(bytes, limit: 1 << 20, file: file)
    case "safetensors": _ = try SafeTensors(decoding: bytes, file: file)
    default: Issue.record("no reader of \(format)")
    }
  }
}
