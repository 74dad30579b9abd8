import Foundation
import Testing

@testable import DiffuseVAE

/// What scripts/fuzz begins with: texts that are a configuration, and texts that are none.
@Suite struct ConfigurationCorpusTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fuzz/Corpus/yaml").path

  @Test("Every text of the corpus is a configuration, or has errors that name it")
  func replay() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted()
    var read = 0
    for name in names {
      let path = "\(Self.folder)/\(name)"
      do {
        _ = try Configuration(file: path)
        read += 1
      } catch let error as ConfigurationError {
        #expect(!error.problems.isEmpty && error.problems.allSatisfy { $0.hasPrefix(path) })
      }
    }
    #expect(0 < read && read < names.count, "some must be whole, some damaged")
  }
}
