import Formats
import Foundation
import Testing

@testable import DiffuseVAE
@testable import Evaluation

@Suite struct ReportTests {
  private let decoder = {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }()

  private func row(_ images: String, steps: Int? = nil, classes: Double? = nil) -> EvaluationRow {
    EvaluationRow(
      images: images, count: 5, steps: steps, evaluations: steps.map { 2 * Double($0) - 1 },
      secondsPerImage: steps.map { Double($0) / 8 },
      scores: Scores(
        frechet: 1.5, pixelFrechet: 0.25, kernel: -0.125, kernelLow: -1, kernelHigh: 0.75,
        precision: 0.5, recall: 1, classDistance: classes, inceptionScore: classes.map { 1 + $0 },
        labels: classes.map { 1 - $0 / 4 }))
  }

  @Test("A report is what its JSON says, with a sheet and a line for every row")
  func files() throws {
    try inTemporaryFolder { folder in
      let data = try tiny(2, 3, 1, labels: [0, 1, 2, 0], in: folder)
      let reference = try Reference(
        data, extractor: .random(shape: data.shape), count: 4, seed: .max, threads: 1)
      let elbo = EvidenceLowerBound(
        reconstruction: -90.5, divergence: 20.25, binarise: .dynamic)
      var options = SamplingOptions(SamplingSettings(), threads: 3)
      (options.sampler, options.variance, options.spacing) = (.ddpm, .large, .quadratic)
      var report = EvaluationReport(
        run: "a run", reference, data: data, sampling: options, elbo: elbo,
        importance: ImportanceEstimate(
          samples: 5000, images: 4, mean: -86.375, error: 0.25, binarise: .static))
      let out = folder + "/new/evaluation"
      let rows = [
        row("test images", classes: 0.5), row("/tmp/Ä ö.npy"), row("äöü"), row("äöü"),
        row(String(repeating: "long ", count: 100)), row("VAE", steps: 1), row("VAE", steps: 10),
      ]
      for (index, row) in rows.enumerated() {
        try report.add(row, data.training, in: out)
        let json = try Data(File.read(out + "/evaluation.json"))
        let read = try decoder.decode(EvaluationReport.self, from: json)
        #expect(read == report && read.rows == Array(rows[...index]))
      }
      let object = try JSONSerialization.jsonObject(
        with: Data(File.read(out + "/evaluation.json")))
      let keys = try #require(object as? [String: Any])
      #expect(keys["seed"] as? UInt64 == .max)
      #expect(keys["data"] as? String == "4 training images of tiny")
      #expect(keys["accuracy"] == nil && keys["fingerprint"] == nil)
      #expect(keys["references"] as? Int == 4 && keys["threads"] as? Int == 1)
      let sampling = ["sampler": "ddpm", "variance": "large", "spacing": "quadratic"]
      #expect(keys["sampling"] as? [String: String] == sampling)
      let written = try #require(keys["rows"] as? [[String: Any]])
      #expect(written[5]["seconds_per_image"] as? Double == 0.125)
      #expect(written[5]["evaluations"] as? Double == 1)
      #expect(written[0]["steps"] == nil && written[0]["evaluations"] == nil)
      let scores = try #require(written[0]["scores"] as? [String: Double])
      #expect(
        scores == [
          "frechet": 1.5, "pixel_frechet": 0.25, "kernel": -0.125, "kernel_low": -1,
          "kernel_high": 0.75, "precision": 0.5, "recall": 1, "class_distance": 0.5,
          "inception_score": 1.5, "labels": 0.875,
        ])

      let markdown = String(decoding: try File.read(out + "/evaluation.md"), as: UTF8.self)
      let named = markdown.matches(of: /!\[[^\]]*\]\(([^)]*)\)/).map { String($0.1) }
      let sheets = try FileManager.default.contentsOfDirectory(atPath: out).filter {
        $0.hasSuffix(".png")
      }
      #expect(named.count == rows.count && Set(named).count == rows.count)
      #expect(Set(named) == Set(sheets))
      for name in named {
        // Four images of 3 by 2, 18 times as large, with a line around each.
        let sheet = try PNG.decode(File.read("\(out)/\(name)"), file: name)
        #expect(sheet.width == 2 * (3 * 18 + 1) + 1 && sheet.height == 2 * (2 * 18 + 1) + 1)
      }
      #expect(markdown.contains("# a run against 4 training images of tiny"))
      #expect(markdown.contains("-110.75 nats: reconstruction -90.50, divergence"))
      #expect(markdown.contains("images (dynamically binarised; held-out ones by one draw) -110"))
      #expect(
        markdown.contains(
          "ln p(x) of the test images (statically binarised) -86.38 ± 0.25 nats, by 5000 importance"
        ))
      let estimate = try #require(keys["importance"] as? [String: Any])
      #expect(estimate["mean"] as? Double == -86.375 && estimate["samples"] as? Int == 5000)
      #expect(estimate["error"] as? Double == 0.25 && estimate["binarise"] as? String == "static")
      let sampled =
        "Sampled by ddpm, variance large, spacing quadratic; seed \(UInt64.max), 1 thread."
      #expect(markdown.contains("4 training images for kernel, precision and recall. \(sampled)\n"))
      #expect(markdown.contains("|\n\nFréchet: the squared Fréchet distance"))
      #expect(markdown.contains("## VAE, 1 step\n") && markdown.contains("## VAE, 10 steps\n"))
      let table = markdown.split(separator: "\n").filter { $0.hasPrefix("|") }
      #expect(table.count == rows.count + 2)
      #expect(Set(table.map { line in line.count { $0 == "|" } }) == [16])
      #expect(table[2].contains("-0.125 (-1.000…0.750)") && !table[2].contains("–"))
      let last = table[8].split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(
        last == [
          "VAE", "10", "5", "1.500", "0.250", "-0.125 (-1.000…0.750)", "0.500", "1.000",
          "–", "–", "–",
          "1.25000", "19.0", "", "",
        ])
    }
  }

  @Test("No folder, no files; a folder that cannot be made is named")
  func folders() throws {
    try inTemporaryFolder { folder in
      let data = try tiny(2, 3, 1, labels: nil, in: folder)
      let before = try FileManager.default.contentsOfDirectory(atPath: folder)
      let reference = try Reference(
        data, extractor: .random(shape: data.shape), count: 4, seed: 0, threads: 1)
      var report = EvaluationReport(run: nil, reference, data: data, sampling: nil, elbo: nil)
      try report.add(row("x"), data.training, in: nil)
      #expect(report.rows.count == 1)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == before)
      try File.writeAtomically([], to: folder + "/file")
      let error = #expect(throws: FileError.self) {
        try report.add(row("x"), data.training, in: folder + "/file")
      }
      #expect(error?.description == "\(folder)/file: the folder cannot be made: File exists")
    }
  }

  @Test("Lists of steps", arguments: ["1,10,1000:500", "7", "1:4,1:1000000"])
  func steps(text: String) throws {
    let entries = try #require(StepList(argument: text)).entries
    let texts = entries.map { "\($0.steps)" + ($0.count.map { ":\($0)" } ?? "") }
    #expect(texts.joined(separator: ",") == text)
  }

  @Test(
    "What is no list of steps",
    arguments: [
      "", "0", "-1", "1,", ",1", "1,,2", "1:3", "1:1000001", ":", "1:", ":5", "1:2:3", "1:5:", "a",
      "1 0", "1.5", "9223372036854775808", "1:9223372036854775808", "１",
    ])
  func noSteps(text: String) { #expect(StepList(argument: text) == nil) }
}
