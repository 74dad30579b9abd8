import Foundation
import Testing

/// `diffusevae-evaluate`, run as a user runs it.
@Suite(.serialized) struct EvaluateTests {
  /// The cells of the table's rows, below the heading.
  private func rows(_ result: Place.Result) -> [[String]] {
    result.output.split(separator: "\n").dropFirst().map { line in
      line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  /// The names of the rows, each with its steps and number of images.
  private func titles(_ result: Place.Result) -> [[String]] {
    rows(result).map { Array($0.prefix(3)) }
  }

  /// A report without the times and what they are by.
  private func report(_ place: Place, _ folder: String) throws -> String {
    String(decoding: try place.read("\(folder)/evaluation.json"), as: UTF8.self)
      .split(separator: "\n")
      .filter { !$0.contains("seconds_per_image") && !$0.contains("\"threads\"") }
      .map { $0.trimmingCharacters(in: [","]) }.joined(separator: "\n")
  }

  private func evaluate(_ place: Place, _ arguments: String...) throws -> Place.Result {
    let result = try place.run("diffusevae-evaluate", arguments)
    #expect(result.status == 0, "\(result.errors)")
    return result
  }

  private func refuse(
    _ place: Place, _ sentence: String, _ arguments: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try place.run("diffusevae-evaluate", arguments)
    #expect(result.status == 1 && !result.crashed, sourceLocation: sourceLocation)
    #expect(
      result.errors.contains(sentence), "\(result.errors)", sourceLocation: sourceLocation)
    #expect(result.output.isEmpty, sourceLocation: sourceLocation)
  }

  @Test("A run is measured by random features, then by a classifier that is fitted once")
  func wholeRoad() throws {
    let place = try Place()
    defer { place.remove() }
    let trained = try place.run("diffusevae-train", "--config", "small.yaml")
    #expect(trained.status == 0, "\(trained.errors)")
    let folder = "runs/small/evaluation"

    let random = try evaluate(place)
    #expect(random.errors.contains("warning: features are random and say little; train a class"))
    #expect(random.errors.contains("written to \(folder)\n"))
    let first = trained.errors.split(separator: "\n").first { $0.contains("ELBO of the test") }
    let bound = try #require(first?.range(of: "ELBO").map { first?[$0.lowerBound...] ?? "" })
    #expect(bound.contains("nats: reconstruction") && random.errors.contains(bound))
    #expect(
      titles(random) == [
        ["test images", "", "297"], ["reconstructions of test images", "", "297"],
        ["reconstructions, refined", "4", "297"], ["VAE alone, prior mixture", "", "297"],
        ["VAE alone, prior normal", "", "297"], ["DiffuseVAE, prior mixture", "4", "297"],
      ])
    for row in rows(random) { #expect(row.count == 15 && row[8...10] == ["–", "–", "–"]) }
    let markdown = String(decoding: try place.read("\(folder)/evaluation.md"), as: UTF8.self)
    for line in random.output.split(separator: "\n") { #expect(markdown.contains(line)) }
    #expect(try report(place, folder).contains("\"run\" : \"small\""))
    #expect(!place.has("extractors"))

    let fitted = try evaluate(place, "--fit")
    #expect(fitted.errors.contains("classifier  step 300/300"))
    let description = "a classifier of the 10 classes of digits, right on 9"
    #expect(fitted.errors.contains(description) && !fitted.errors.contains("warning"))
    #expect(titles(fitted) == titles(random))
    let refined = try evaluate(place, "--stage", "refined", "--out", "refined")
    #expect(titles(refined) == [titles(random)[0], titles(random)[5]])
    #expect(rows(refined)[1].prefix(11) == rows(fitted)[5].prefix(11))
    for row in rows(fitted) { #expect(Double(row[8]) != nil && Double(row[9]) != nil) }
    // Test images and what is made of them have labels; this model is not asked for any.
    #expect(rows(fitted).map { Double($0[10]) != nil } == [true, true, true, false, false, false])
    let whole = try report(place, folder)
    let names = try FileManager.default.contentsOfDirectory(atPath: place.folder + "/extractors")
    #expect(names.count == 1)
    let extractor = "extractors/\(names.first ?? "")"
    let weights = try place.read(extractor)
    let fingerprint = extractor.dropLast(".safetensors".count).suffix(16)
    #expect(whole.contains("\"fingerprint\" : \"\(fingerprint)\""))
    #expect(whole.contains("\"sampler\" : \"plms\"") && !whole.contains("\"eta\""))
    #expect(whole.contains("\"references\" : 297"))

    // The stored one is taken, with any number of threads.
    for flags in [["--fit"], ["--threads", "1"]] {
      let again = try place.run("diffusevae-evaluate", flags + ["--out", "again/here"])
      #expect(again.status == 0, "\(again.errors)")
      #expect(again.errors.contains("\(extractor): \(description)"))
      #expect(!again.errors.contains("step 300/300"))
      #expect(try report(place, "again/here") == whole)
    }
    #expect(try place.read(extractor) == weights)
    let config = try evaluate(place, "--config", "small.yaml", "--fit")
    #expect(config.output.isEmpty && config.errors.contains("\(extractor): \(description)"))

    let steps = try evaluate(place, "--steps", "1,10:20", "--prior", "normal", "--count", "40")
    #expect(
      titles(steps) == [
        ["test images", "", "40"], ["reconstructions of test images", "", "40"],
        ["reconstructions, refined", "4", "40"], ["VAE alone, prior normal", "", "40"],
        ["DiffuseVAE, prior normal", "1", "40"], ["DiffuseVAE, prior normal", "10", "20"],
      ])
    // Sampling's own images, saved in either way, are scored the same.
    let ownRow = try #require(try rows(evaluate(place, "--count", "40")).last)
    for (path, flags) in [("x.npy", ["--run", "small"]), ("many", ["--config", "small.yaml"])] {
      #expect(try place.run("diffusevae-sample", "--count", "40", "--out", path).status == 0)
      let result = try place.run("diffusevae-evaluate", flags + ["--samples", path])
      #expect(result.status == 0 && !result.errors.contains("written"), "\(result.errors)")
      #expect(titles(result) == [["test images", "", "40"], [path, "", "40"]])
      #expect(try #require(rows(result).last)[3...9] == ownRow[3...9])
    }

    try refuse(
      place, "train one with --fit", "--edits", "1", "--count", "40", "--extractors", "none")
    // By nothing images stay what they were; by three times the way they move further than by one.
    let edited = try rows(
      evaluate(place, "--stage", "refined", "--count", "40", "--edits", "0", "1", "3"))
    let found = Dictionary(
      uniqueKeysWithValues: edited.filter { $0[0].hasPrefix("moved") }.map { ($0[0], $0[13]) })
    #expect(found.count == 9, "\(edited)")
    for kind in ["means", "probe", "transport"] {
      let moved = ["0.0", "1.0", "3.0"].map {
        Double(found["moved to a class, \(kind) × \($0)"] ?? "") ?? .nan
      }
      #expect(moved[0] == 0 && moved[1] > 0 && moved[2] > moved[1], "\(kind): \(moved)")
    }

    try refuse(
      place, "train one with --fit", "--paths", "5", "--count", "40", "--extractors", "none")
    let walked = try rows(
      evaluate(place, "--stage", "refined", "--count", "40", "--paths", "5")
    ).filter { $0[0].hasPrefix("paths") }
    #expect(walked.map { $0[0] } == ["paths through z", "paths through xT"])
    // Nine frames follow the first of each path.
    #expect(walked.allSatisfy { $0[2] == "45" })
    for row in walked {
      let numbers = [10, 13, 14].map { Double(row[$0]) ?? .nan }
      #expect((0...1).contains(numbers[0]) && numbers[1] > 0 && numbers[2] > 0, "\(row)")
    }

    try place.write(Array(weights.dropLast(100)), to: extractor)
    try refuse(place, extractor, "--fit")
    #expect(try place.read(extractor) == Array(weights.dropLast(100)))
  }

  @Test("Stage one alone: the likelihood of binarised test images by importance sampling")
  func likelihood() throws {
    let place = try Place()
    defer { place.remove() }
    let vae =
      "vae={upper_latents: [3], upper_hidden: [8], binarise: dynamic, samples: 2, objective: iwae}"
    let trained = try place.run(
      "diffusevae-train", "--config", "small.yaml", "--stage", "vae", "--set", vae)
    #expect(trained.status == 0, "\(trained.errors)")
    let remark = "images (dynamically binarised; held-out ones by one draw)"
    #expect(trained.errors.contains("stage one: sees \(remark)\n"))
    #expect(trained.errors.contains("ELBO of the test \(remark) -"))
    #expect(trained.errors.contains("; importance-weighted bound of 2 samples -"))
    #expect(trained.errors.contains("from the VAE's own prior of 2 levels at most "))

    let found = try ["2", "1"].map { threads in
      let result = try evaluate(
        place, "--run", "small", "--stage", "vae", "--importance", "300", "--threads", threads)
      #expect(result.errors.contains("ln p(x) of the test \(remark) -"), "\(result.errors)")
      #expect(result.errors.contains(" nats, by 300 importance samples for each."))
      #expect(
        titles(result) == [
          ["test images", "", "297"], ["reconstructions of test images", "", "297"],
          ["VAE alone, prior mixture", "", "297"], ["VAE alone, prior normal", "", "297"],
        ])
      return try report(place, "runs/small/evaluation")
    }
    #expect(found[0] == found[1])
    #expect(found[0].contains("\"samples\" : 300") && found[0].contains("\"images\" : 297"))
    #expect(found[0].contains("\"binarise\" : \"dynamic\""))
    #expect(!found[0].contains("\"sampling\""))
    try refuse(place, "incomplete, denoiser.safetensors is missing", "--run", "small")
  }

  @Test("Mistakes are found before anything is computed, and write nothing")
  func mistakes() throws {
    let place = try Place()
    defer { place.remove() }
    let stage = ["--config", "small.yaml", "--stage", "vae"]
    #expect(try place.run("diffusevae-train", stage).status == 0)
    try refuse(place, "incomplete, denoiser.safetensors is missing; finish it", "--run", "small")
    #expect(try place.run("diffusevae-train", "--resume").status == 0)
    try place.write("x", to: "file")
    try refuse(place, "must lie in 1...40, not 41", "--steps", "1,41")
    try refuse(place, "eta is 1.5", "--sampler", "ddim", "--eta", "1.5")
    try refuse(place, "has no prior diffusion", "--prior", "normal", "--prior", "diffusion")
    try refuse(place, "file: the folder cannot be made", "--out", "file")
    try refuse(place, "file/x: the folder cannot be made", "--out", "file/x")
    try refuse(place, "file: the folder cannot be made", "--fit", "--extractors", "file")
    try refuse(place, "file: is not an NPY file", "--samples", "file")
    try place.delete("runs/small/prior.safetensors")
    try refuse(place, "prior.safetensors is missing", "--run", "small")
    #expect(!place.has("runs/small/evaluation/evaluation.json") && !place.has("extractors"))
  }

  @Test("Likelihoods: of both stages; of data of known density, by its exact denoiser")
  func likelihoods() throws {
    let place = try Place()
    defer { place.remove() }
    #expect(try place.run("diffusevae-train", "--config", "small.yaml").status == 0)
    let flags = ["--likelihood", "20", "--count", "10"]
    let few = ["--draws", "4", "--flow-steps", "2"]
    func table(_ arguments: [String]) throws -> [[String]] {
      let result = try place.run("diffusevae-evaluate", arguments)
      #expect(result.status == 0, "\(result.errors)")
      let lines = result.output.split(separator: "\n").prefix { !$0.contains("Fréchet") }
      return lines.map { line in
        line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      }
    }
    let both = try table(flags + few)
    #expect(
      both.map { $0[0] } == [
        "likelihood, bits a dimension", "ELBO, variance small", "ELBO, variance large",
        "ELBO, variance analytic", "probability flow",
      ])
    for row in both.dropFirst() {
      let numbers = row.dropFirst(4).compactMap { Double($0) }
      #expect(numbers.count == 5 && abs(numbers[0] + numbers[2] - numbers[3]) < 2e-4)
    }
    #expect(try table(flags + few + ["--threads", "1"]) == both)
    let folder = "runs/small/evaluation"
    #expect(try report(place, folder).contains("\"likelihood\" : {"))
    let markdown = String(decoding: try place.read("\(folder)/evaluation.md"), as: UTF8.self)
    #expect(markdown.contains("Bits a dimension of 20 test images"))

    let settings = """
      data: {set: gaussian}
      diffusion: {formulation: none}
      denoiser: {kind: exact}
      training: {denoiser: {steps: 1}, grids: 1}
      """
    try place.write(settings, to: "exact.yaml")
    let trained = try place.run("diffusevae-train", "--config", "exact.yaml")
    #expect(trained.status == 0, "\(trained.errors)")
    let exact = try table(flags + ["--run", "exact", "--flow-steps", "10"])
    #expect(exact.last?[0] == "entropy of the data")
    // log₂ of 0.2 √(2πe) · 127.5
    #expect(exact.last?[4] == "6.7195")
    let flow = try #require(Double(exact[3][4]))
    // Of 20 images of 16 pixels, each with a variance of ½ nats².
    #expect(abs(flow - 6.7195) < 4 * 0.7071 / 320.squareRoot() / 0.6931, "found \(flow)")

    try refuse(place, "likelihood is of 0 images", "--likelihood", "0")
    try refuse(place, "draws is 0; it must be in 1...100000", "--likelihood", "1", "--draws", "0")
  }

  @Test("The unconditional baseline is measured without a VAE, and has no prior to choose")
  func unconditional() throws {
    let place = try Place()
    defer { place.remove() }
    let none = ["--config", "small.yaml", "--set", "diffusion.formulation=none"]
    #expect(try place.run("diffusevae-train", none).status == 0)
    let result = try evaluate(place, "--steps", "2,3:10", "--count", "20")
    #expect(!result.errors.contains("ELBO"))
    #expect(
      titles(result) == [
        ["test images", "", "20"], ["diffusion", "2", "20"], ["diffusion", "3", "10"],
      ])
    try refuse(place, "formulation none has no VAE, and so no prior", "--prior", "normal")
    try refuse(place, "a likelihood takes a VAE and test images", "--importance", "10")
    try refuse(place, "formulation none has no VAE", "--stage", "vae")
    try refuse(place, "must lie in 1...40, not 41", "--steps", "41")
  }

  /// An IDX set of random images of 4 by `width`, and labels where there are any.
  private func write(
    _ place: Place, _ split: String, count: UInt8, width: UInt8 = 4, labels: [UInt8]? = nil
  ) throws {
    let pixels = (0..<Int(count) * 4 * Int(width)).map { UInt8(truncatingIfNeeded: $0 * $0 * 7) }
    try place.write(
      [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 4, 0, 0, 0, width] + pixels,
      to: "set/\(split)-images-idx3-ubyte")
    if let labels {
      try place.write([0, 0, 8, 1, 0, 0, 0, count] + labels, to: "set/\(split)-labels-idx1-ubyte")
    }
  }

  @Test(
    "Sets with few test images or none, without labels or of one class",
    arguments: [true, false])
  func poorSets(hasVAE: Bool) throws {
    let place = try Place()
    defer { place.remove() }
    try write(place, "train", count: 60)
    var train = [
      "--config", "small.yaml", "--name", "a", "--set", "data={set: s, folder: set}", "--set",
      "prior.kind=normal",
    ]
    if !hasVAE { train += ["--set", "diffusion.formulation=none"] }
    #expect(try place.run("diffusevae-train", train).status == 0)
    let drawn =
      hasVAE ? ["VAE alone, prior normal", "DiffuseVAE, prior normal"] : ["diffusion"]
    let floor = ["test images"]
    let seen = hasVAE ? ["reconstructions of test images", "reconstructions, refined"] : []

    let untested = try evaluate(place, "--count", "50")
    #expect(rows(untested).map { $0[0] } == drawn)
    #expect(untested.errors.contains("features are random and say little; s has no labels"))
    try refuse(place, "s: has no labels to train an extractor on", "--fit")
    try write(place, "train", count: 60, labels: [UInt8](repeating: 7, count: 60))
    try refuse(place, "s: all labels are 7", "--fit")

    for count: UInt8 in [1, 3] {
      try write(place, "t10k", count: count)
      let few = try evaluate(place, "--count", "50")
      #expect(rows(few).map { $0[0] } == drawn)
      #expect(few.errors.contains("s has \(count) test images, too few to be scored"))
    }
    for (count, flags, taken) in [(4, [], "4"), (9, ["--count", "4"], "4"), (9, [], "9")] {
      try write(place, "t10k", count: UInt8(count))
      let result = try place.run("diffusevae-evaluate", flags)
      #expect(result.status == 0, "\(result.errors)")
      #expect(rows(result).map { $0[0] } == floor + seen + drawn)
      #expect(Set(rows(result).map { $0[2] }) == [taken])
    }
    // More images than the set has for testing: what is drawn is as many, what is tested fewer.
    let more = rows(try evaluate(place, "--count", "70"))
    let counts = (floor + seen).map { _ in "9" } + drawn.map { _ in "70" }
    #expect(more.map { $0[2] } == counts)

    for split in ["train", "t10k"] { try write(place, split, count: 60, width: 5) }
    try place.delete("set/train-labels-idx1-ubyte")
    try refuse(place, "s: images are 4x5x1, the run's are 4x4x1")
    try write(place, "train", count: 3, width: 4)
    try write(place, "t10k", count: 9, width: 4)
    try refuse(place, "s: 3 training images are too few to compare with")
  }
}
