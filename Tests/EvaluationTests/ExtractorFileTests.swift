import DiffuseVAE
import Formats
import Foundation
import Neural
import Testing

@testable import Evaluation

@Suite struct ExtractorFileTests {
  @Test("A stored extractor is read back bit by bit")
  func roundTrip() throws {
    try inTemporaryFolder { folder in
      let data = try digits()
      let folder = folder + "/new/extractors"
      #expect(try Extractor.load(for: data, in: folder) == nil)
      let extractor = try Extractor.fit(on: data, seed: 7, steps: 3, threads: 2)
      let path = try extractor.save(in: folder)
      #expect(path == Extractor.path(for: data, in: folder))
      let fingerprint = data.fingerprint()
      #expect(path == "\(folder)/digits-\(fingerprint).safetensors")
      let stored = try #require(try Extractor.load(for: data, in: folder))
      #expect(stored.origin == extractor.origin)
      #expect(stored.description == extractor.description)
      let outputs = try extractor.outputs(of: data.training, threads: 2)
      #expect(try stored.outputs(of: data.training, threads: 2) == outputs)
    }
  }

  @Test("Fingerprints tell images, labels and shapes apart")
  func fingerprints() throws {
    try inTemporaryFolder { folder in
      let all = try [
        tiny(2, 3, 1, labels: [0, 1, 2], in: folder), tiny(3, 2, 1, labels: [0, 1, 2], in: folder),
        tiny(2, 3, 1, labels: [0, 1, 1], in: folder),
        tiny(2, 3, 1, labels: [0, 1, 2, 0], in: folder),
        tiny(2, 3, 3, labels: [0, 1, 2], in: folder),
      ]
      #expect(Set(all.map { $0.fingerprint() }).count == all.count)
      // f = bytes of FNV-1a, by hand in Python:
      //   h = 0xcbf29ce484222325
      //   for x in b"3x2x3x1" + bytes([0] * 6 + [1] * 6 + [2] * 6) + bytes([0, 1, 2]):
      //       h = ((h ^ x) * 0x100000001b3) % 2**64
      #expect(all[0].fingerprint() == "45ccf1e7085e303b")
    }
  }

  @Test("An extractor of other data is not taken, even under the right name")
  func otherData() throws {
    try inTemporaryFolder { folder in
      let one = try tiny(2, 2, 1, labels: [0, 1, 0, 1], in: folder)
      let two = try tiny(2, 2, 1, labels: [0, 1, 1, 1], in: folder)
      let path = try Extractor.fit(on: one, steps: 1, threads: 1).save(in: folder)
      #expect(try Extractor.load(for: two, in: folder) == nil)
      let other = Extractor.path(for: two, in: folder)
      try FileManager.default.copyItem(atPath: path, toPath: other)
      #expect(
        problem { try Extractor.load(for: two, in: folder) }
          == "\(other): was trained on other images or labels than those of tiny")
    }
  }

  @Test("Damaged files are refused with their name")
  func damage() throws {
    try inTemporaryFolder { folder in
      let data = try tiny(2, 2, 1, labels: [0, 1, 0, 1], in: folder)
      let path = try Extractor.fit(on: data, steps: 1, threads: 1).save(in: folder)
      let bytes = try File.read(path)
      let whole = try SafeTensors(decoding: bytes, file: path)
      func refusal(_ bytes: [UInt8]) throws -> String {
        try File.writeAtomically(bytes, to: path)
        let problem = problem { try Extractor.load(for: data, in: folder) }
        let prefix = "\(path): "
        return problem.hasPrefix(prefix) ? String(problem.dropFirst(prefix.count)) : "no refusal"
      }
      #expect(try refusal(bytes) == "no refusal")
      for length in [0, 7, 100, bytes.count / 2, bytes.count - 1] {
        #expect(try refusal(Array(bytes[..<length])) != "no refusal", "\(length)")
      }
      func changed(_ change: (inout SafeTensors) -> Void) throws -> String {
        var file = whole
        change(&file)
        return try refusal(file.encoded())
      }
      #expect(try changed { $0.metadata["part"] = "vae" } == "is not an extractor")
      #expect(try changed { $0.metadata["version"] = "0" }.contains("another version"))
      for (key, value) in [
        ("classes", "1"), ("classes", "257"), ("classes", "two"), ("seed", "-1"),
        ("accuracy", "nan"), ("accuracy", "1.5"), ("held_out", "maybe"),
      ] {
        #expect(try changed { $0.metadata[key] = value }.hasPrefix("is damaged"), "\(key) \(value)")
      }
      #expect(try changed { $0.metadata["image"] = "2x1x2" }.hasPrefix("was trained on other"))
      #expect(try changed { $0.metadata["classes"] = "3" }.contains("tensor head.weight is"))
      #expect(try changed { $0.tensors["head.bias"] = nil }.contains("no tensor head.bias"))
      #expect(try changed { $0.tensors["x"] = $0.tensors["head.bias"] }.contains("tensor x"))
      let infinite = Tensor(shape: [2], elements: [0, .infinity])
      #expect(try changed { $0.tensors["head.bias"] = infinite }.contains("not finite"))
    }
  }
}
