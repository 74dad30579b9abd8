import Formats
import Testing

@testable import DiffuseVAE

@Suite struct RunTableTests {
  @Test("A step that is no whole number of a size that there is, is shown as it is")
  func step() throws {
    try inTemporaryFolder { runs in
      let run = try Run.create(in: runs, name: "a", stem: "a", small())
      let line = #"{"stage": "vae", "step": 1e300, "loss": 1}"#
      try File.writeAtomically(Array(line.utf8), to: run.metricsFile)
      // The double nearest to 10^300 begins so.
      #expect(try Run.table(of: runs).contains("vae to step 10000000000000000525"))
    }
  }
}
