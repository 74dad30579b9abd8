import Formats
import Foundation
import Testing

@testable import DiffuseVAE

@Suite struct MachineMemoryTests {
  @Test("The least limit of a control group and of those above it counts, of either version")
  func limits() throws {
    try inTemporaryFolder { root in
      func set(_ path: String, _ text: String) throws {
        let place = "\(root)/\(path)"
        try makeFolder(String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)]))
        try File.writeAtomically(Array(text.utf8), to: place)
      }
      try set("a/memory.max", "3000\n")
      try set("a/b/memory.max", "max\n")
      try set("memory/x/memory.limit_in_bytes", "2000\n")
      func limit(_ groups: String) -> Int? { MachineMemory.groupLimit(of: groups, root: root) }
      #expect(limit("0::/a/b\n") == 3000)
      #expect(limit("4:memory,cpu:/x\n1:pids:/a\n") == 2000)
      #expect(limit("4:memory:/x\n0::/a/b\n") == 2000)
      #expect(limit("0::/\n") == nil)
      #expect(limit("nonsense") == nil)
    }
  }

  @Test("A stage that does not fit is refused with the largest batch that does")
  func largestBatch() throws {
    let configuration = try small("training.denoiser.batch=400")
    let digits = try Dataset(configuration.data)
    func bytes(_ batch: Int) throws -> Int {
      digits.bytes
        + (try small("training.denoiser.batch=\(batch)")
          .trainingBytes(of: .denoiser, shape: digits.shape, threads: 2))
    }
    func message(_ limit: Int) -> String {
      problem { try configuration.checkFits(.denoiser, digits, threads: 2, limit: limit) }
    }
    #expect(try message(bytes(400)) == "no error")
    #expect(
      try message(bytes(399)).hasSuffix("training.denoiser.batch 399 is the largest that fits"))
    #expect(
      try message(bytes(34)).hasSuffix("; training.denoiser.batch 34 is the largest that fits"))
    #expect(message(1 << 20).hasSuffix("; no batch fits"))
    #expect(try message(bytes(34)).hasPrefix("training stage two takes about "))
  }
}
