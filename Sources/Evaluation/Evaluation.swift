import DiffuseVAE
import Formats
import Neural

/// One set of images and what it scores: a row of the table.
public struct EvaluationRow: Codable, Equatable, Sendable {
  /// Where the images are from.
  public let images: String
  /// How many there are. Scores of different numbers do not compare: the fewer, the larger the
  /// distances.
  public let count: Int
  /// Steps of the sampler; nil where none was used, or one that has a tolerance instead.
  public let steps: Int?
  /// Of the network for an image, on average; nil where it was not used.
  public let evaluations: Double?
  /// Wall time of making the whole row with all threads, over ``count``; nil for images that were
  /// there.
  public let secondsPerImage: Double?
  /// Of edited images: how far pixels are from the image before the edit, over how far they are in
  /// another image of the class that it is moved to; of frames of a path, from the first one, over how
  /// far first ones are from one another; nil of others.
  public var moved: Double?
  /// Of frames of a path: the same of the means of q(z|x); nil of others.
  public var code: Double?
  public let scores: Scores
}

/// What is to be measured of a run.
public struct EvaluationRequest: Sendable {
  /// Images of each row, if not said otherwise.
  public var count: Int
  /// What new images are refined in.
  public var steps: StepList
  /// How images are drawn. Its number of steps is that in which test images are refined.
  public var options: SamplingOptions
  /// Priors to draw the VAE's images from; the first one is that of the refined images. None for
  /// the unconditional baseline.
  public var priors: [PriorSettings.Kind]
  /// Whether to refine images; without it the second stage need not be trained.
  public var refines = true
  /// Whether also to score reconstructions, refined ones too, and what the VAE alone draws.
  public var showsVAE = true
  /// Strengths by which test images are moved to another class in z, to see what becomes of them.
  public var edits: [Double] = []
  /// Paths through z, and through y_T, whose frames to compare with the first; nil for none.
  public var paths: Int?
  /// Samples of z for each test image by which their likelihood is estimated; nil not to.
  public var importance: Int?
  /// Nil for none.
  public var likelihood: LikelihoodRequest?

  /// What a configuration says: its sampler and steps; its prior, and N(0, I) to compare with.
  public init(_ configuration: Configuration, count: Int, threads: Int) {
    self.count = count
    options = SamplingOptions(configuration.sampling, threads: threads)
    steps = StepList(steps: options.steps)
    let prior = configuration.prior.kind
    priors = !configuration.hasVAE ? [] : prior == .normal ? [.normal] : [prior, .normal]
  }

  /// Refuses what cannot be done, before hours of work.
  func check(_ run: Run, _ data: Dataset) throws {
    try run.configuration().checkLabels(data)
    for prior in priors.isEmpty ? [nil] : priors.map(Optional.some) {
      let model = try Model(of: run, needsDenoiser: refines, prior: prior)
      guard model.shape == data.shape else {
        throw UserError("\(data.name): images are \(data.shape), the run's are \(model.shape)")
      }
      for entry in steps.entries {
        try generator(model, steps: entry.steps).check(count: entry.count ?? count)
      }
      try generator(model, steps: options.steps).check(count: count)
      try checkEdits(model, data)
      try checkPaths(model)
      guard importance == nil || model.vae != nil && data.test != nil else {
        throw UserError(
          "a likelihood takes a VAE and test images, and \(model.vae == nil ? run.name : data.name) "
            + "has none")
      }
      if let likelihood { try likelihood.check(model, data) }
    }
  }

  /// With the options as they are, but for the number of steps.
  fileprivate func generator(_ model: Model, steps: Int) throws -> Generator {
    var options = options
    options.steps = steps
    return try Generator(model, options)
  }
}

extension Reference {
  /// Scores images that were there.
  func row(_ name: String, _ images: ByteImages) throws -> EvaluationRow {
    EvaluationRow(
      images: name, count: images.count, steps: nil, evaluations: nil, secondsPerImage: nil,
      scores: try scores(of: images))
  }

  /// Scores everything that a run can make, a row at a time.
  ///
  /// - Parameters:
  ///   - test: real images to reconstruct, 4 or more, all of them; nil to leave that out.
  ///   - each: is given every row with its images as soon as there is one.
  func rows(
    of run: Run, _ request: EvaluationRequest, test: ByteImages?,
    each: (EvaluationRow, ByteImages) throws -> Void
  ) throws {
    let model = try Model(
      of: run, needsDenoiser: request.refines, prior: request.priors.first)
    func record(
      _ name: String, by generator: Generator? = nil, count: Int? = nil,
      labels: (Int) -> [Int]?, moved: ((Matrix) -> (pixels: Double, code: Double?))? = nil,
      _ make: (Int) throws -> Matrix
    ) throws {
      let count = count ?? request.count
      let clock = ContinuousClock()
      let start = clock.now
      let pixels = try make(count)
      let seconds = (clock.now - start) / .seconds(1)
      // What is scored is what would be saved: bytes.
      var images = ByteImages(pixels, shape: model.shape)
      images.labels = labels(count)?.map { UInt8(clamping: $0) }
      let distances = moved?(pixels)
      let row = EvaluationRow(
        images: name, count: images.count, steps: generator?.steps,
        evaluations: generator?.evaluations, secondsPerImage: seconds / Double(images.count),
        moved: distances?.pixels, code: distances?.code, scores: try scores(of: images))
      try each(row, images)
    }
    let generator = try request.generator(model, steps: request.options.steps)
    if request.showsVAE, model.vae != nil, let test {
      let (z, labels) = (try generator.latents(of: test), test.labels(0..<test.count))
      try record("reconstructions of test images", labels: { _ in labels }) { _ in
        try generator.reconstructions(of: z, labels: labels)
      }
      if request.refines {
        try record("reconstructions, refined", by: generator, labels: { _ in labels }) { _ in
          try generator.images(of: z, labels: labels)
        }
      }
    }
    if !request.edits.isEmpty, let test, let classes = extractor.origin?.classes {
      let edits = try Edits(of: test, model, generator, classes: classes, threads: threads)
      for strength in request.edits {
        for kind in edits.kinds {
          try record(
            "moved to a class, \(kind.rawValue) × \(strength)", by: generator,
            labels: { _ in edits.targets }, moved: { (edits.moved($0), nil) }
          ) { _ in try generator.refine(edits.drafts(kind, strength: strength)) }
        }
      }
    }
    if let paths = request.paths {
      let walks = try Walks(paths, model, generator) { [extractor, threads] in
        try extractor.outputs(of: $0, threads: threads).probabilities
      }
      for space in Walks.spaces {
        try record(
          "paths through \(space)", by: generator, labels: { _ in walks.classes },
          moved: { walks.moved($0) }
        ) { _ in try walks.images(through: space) }
      }
    }
    for prior in request.showsVAE ? request.priors : [] {
      let generator = try Generator(
        Model(of: run, needsDenoiser: request.refines, prior: prior), request.options)
      try record("VAE alone, prior \(prior)", labels: generator.labels(count:)) {
        try generator.reconstructions(0..<$0)
      }
    }
    guard request.refines else { return }
    let name = request.priors.first.map { "DiffuseVAE, prior \($0)" } ?? "diffusion"
    for entry in request.steps.entries {
      let generator = try request.generator(model, steps: entry.steps)
      try record(name, by: generator, count: entry.count, labels: generator.labels(count:)) {
        try generator.images(0..<$0)
      }
    }
  }
}

extension ByteImages {
  /// At most `count` of the images, spread evenly.
  func taking(_ count: Int) -> ByteImages { chosen(spread(count)) }
}
