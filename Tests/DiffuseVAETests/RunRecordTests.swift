import Formats
import Foundation
import Testing

@testable import DiffuseVAE

@Suite struct RunRecordTests {
  private func run(in runs: String, _ lines: String) throws -> Run {
    let run = try Run.create(in: runs, name: "a-b", stem: "a", small())
    try File.writeAtomically(Array(lines.utf8), to: run.metricsFile)
    return run
  }

  private let lines = """
    {"stage":"vae","step":1,"loss":9,"norm":2}
    {"stage":"vae","step":2,"loss":4}
    {"stage":"vae","step":2,"test_loss":5.5}
    half a li
    {"stage":"denoiser","step":1,"loss":0.25}

    """

  @Test("metrics.csv has a line for each of metrics.jsonl, and a column for every number")
  func csv() throws {
    try inTemporaryFolder { runs in
      let run = try run(in: runs, lines)
      try run.summarise()
      #expect(
        String(decoding: try File.read(run.folder + "/metrics.csv"), as: UTF8.self) == """
          stage,step,loss,norm,test_loss
          vae,1,9.0,2.0,
          vae,2,4.0,,
          vae,2,,,5.5
          denoiser,1,0.25,,

          """)
    }
  }

  @Test("summary.json has what was said last of every stage, and the distances that were measured")
  func summary() throws {
    try inTemporaryFolder { runs in
      let run = try run(in: runs, lines)
      try makeFolder(run.folder + "/evaluation")
      try File.writeAtomically(
        Array(
          #"{"rows": [{"images": "x", "steps": 5, "count": 7, "scores": {"frechet": 1.5}}]}"#.utf8),
        to: run.folder + "/evaluation/evaluation.json")
      try File.writeAtomically([], to: run.weightsFile(.vae))
      try run.summarise()
      let data = Data(try File.read(run.folder + "/summary.json"))
      let found = try #require(JSONSerialization.jsonObject(with: data) as? NSDictionary)
      let expected: NSDictionary = [
        "stages": [
          "vae": [
            "finished": true, "last": ["loss": 4, "norm": 2, "step": 2, "test_loss": 5.5],
          ],
          "denoiser": ["finished": false, "last": ["loss": 0.25, "step": 1]],
        ],
        "evaluation": [["images": "x, 5 steps, 7 images", "frechet": 1.5]],
      ]
      #expect(found == expected)
    }
  }

  @Test("The report shows losses, images and settings, and asks for nothing from elsewhere")
  func report() throws {
    try inTemporaryFolder { runs in
      let run = try trainedRun(in: runs, small("training.denoiser.steps=20"))
      try run.record(command: ["diffusevae-train", "--name", "<a & b>"], threads: 2)
      try run.summarise()
      let page = String(decoding: try File.read(run.reportFile), as: UTF8.self)
      for name in try FileManager.default.contentsOfDirectory(atPath: run.folder + "/samples") {
        let data = Data(try File.read("\(run.folder)/samples/\(name)"))
        #expect(page.contains("data:image/png;base64,\(data.base64EncodedString())"))
      }
      #expect(page.contains("<polyline") && page.contains("width: 24"))
      #expect(page.contains("&lt;a &amp; b&gt;") && !page.contains("<a & b>"))
      let links = page.matches(of: /(src|href)="([^"]*)"/).map { String($0.2) }
      #expect(links.allSatisfy { $0.hasPrefix("data:") })
    }
  }

  @Test("command.txt has every start, as a shell takes it")
  func commands() throws {
    try inTemporaryFolder { runs in
      let run = try run(in: runs, "")
      try run.record(command: ["train", "--config", "a b.yaml"], threads: 1)
      try run.record(command: ["train", "--resume", "it's"], threads: 1)
      let text = String(decoding: try File.read(run.folder + "/command.txt"), as: UTF8.self)
      let words = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1)[1] }
      #expect(words == [" train --config 'a b.yaml'", #" train --resume 'it'\''s'"#])
    }
  }

  @Test("Ticks are round and lie between the ends")
  func ticks() {
    #expect(LossCurves.ticks(0, 10).map(\.text) == ["0", "2", "4", "6", "8", "10"])
    #expect(LossCurves.ticks(0.13, 0.31).map(\.text) == ["0.15", "0.20", "0.25", "0.30"])
    #expect(LossCurves.ticks(1, 1).isEmpty)
  }
}
