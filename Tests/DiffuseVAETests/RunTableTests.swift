import Formats
import Testing

@testable import DiffuseVAE

@Suite struct RunTableTests {
  @Test(
    "A line of metrics whose step is no whole number of a size that there is, is none",
    arguments: ["1e300", "-1e300", "0.5", "9223372036854775808", "\"7\"", "null"])
  func step(number: String) throws {
    try inTemporaryFolder { runs in
      let run = try Run.create(in: runs, name: "a", stem: "a", small())
      let lines = """
        {"stage": "vae", "step": 3, "loss": 1}
        {"stage": "vae", "step": \(number), "loss": 1}
        """
      try File.writeAtomically(Array(lines.utf8), to: run.metricsFile)
      #expect(try Run.table(of: runs).contains("| vae to step 3 |"))
      #expect(try Metrics.entries(of: run).map(\.step) == [3])
    }
  }
}
