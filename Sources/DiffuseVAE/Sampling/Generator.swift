import Diffusion
import Neural

/// How images are drawn from a trained model.
@dynamicMemberLookup
public struct SamplingOptions: Sendable {
  /// What the model's configuration says, unless changed.
  public var settings: SamplingSettings
  /// Scales how far z lies from the mean of its prior: of the component it is drawn from, if that
  /// is a mixture.
  public var temperature = 1.0
  /// What x̂0 suffers before it is refined.
  public var corruption: Corruption?
  /// How given images are restored.
  public var restoration: Restoration?
  /// Scales y_T, the noise that an image starts from.
  public var noiseTemperature = 1.0
  /// The class that is asked for, of a model that has classes; nil to ask for all in turn, image i
  /// for i modulo their number.
  public var label: Int?
  public var seed: UInt64 = 0
  /// Images that go through the network together; nil is as many as suit it. Changes speed and
  /// memory, and the last bits. With `rk45` each goes alone, whatever this is.
  public var batch: Int?
  public var threads: Int

  public init(_ settings: SamplingSettings, threads: Int) {
    self.settings = settings
    self.threads = threads
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<SamplingSettings, Value>) -> Value {
    get { settings[keyPath: path] }
    set { settings[keyPath: path] = newValue }
  }
}

/// What decides one image: everything random about it, besides the options.
package struct Draft: Sendable {
  /// `[1, latent]`; nil without a VAE.
  package var z: Matrix?
  /// y_T, `[1, pixels]`.
  package var start: Matrix
  /// The image that is to be restored, as far as it is known, and with the rest filled in, `[1, pixels]`
  /// in [-1, 1].
  var restored: (known: Matrix, whole: Matrix)?
  /// The class that a model with classes is asked for.
  var label = 0
  /// The address of the noise that stochastic samplers add.
  var noise: Int
  /// Decides its row in a batch: products may round differently in every row.
  var number: Int
}

/// Draws images from a model. Image `i` of a seed is the same image, whatever else is drawn.
public struct Generator: Sendable {
  let model: Model
  let options: SamplingOptions
  let levels: [Level]
  package let batch: Int
  let tally = Tally()

  /// - Throws: `DiffusionError` or ``UserError`` for options out of range.
  public init(_ model: Model, _ options: SamplingOptions) throws {
    self.model = model
    self.options = options
    try options.settings.check()
    let schedule = model.process.schedule
    levels = try options.settings.levels(
      of: schedule, from: options.restoration?.timestep(of: schedule),
      learnt: model.configuration.consistency.levels)
    try options.restoration?.check(model.shape)
    // A model without its second stage only draws what the VAE makes.
    guard options.sampler != .consistency || model.denoiser == nil || model.consistency != nil
    else {
      let mend =
        model.configuration.consistency.kind == .none
        ? "set consistency.kind in its config.yaml, and"
        : "finish it with"
      throw UserError("the run has no consistency model: \(mend) --resume")
    }
    guard
      !options.settings.needsPosteriorVariance || model.denoiser == nil
        || model.posteriorVariance != nil
    else {
      throw UserError(
        """
        the run's denoiser.safetensors is of an older version and has no \(PosteriorVariance.name), \
        which variance analytic needs: use small or large, or delete that file and go on with \
        diffusevae-train --resume, which trains stage two anew
        """)
    }
    guard !options.settings.choosesVariance || model.process.variances != nil else {
      throw Batch.choosesNoVariance
    }
    for (name, value) in [
      ("temperature", options.temperature), ("noise temperature", options.noiseTemperature),
    ] {
      guard Float(value).isFinite, value >= 0 else {
        throw UserError("\(name) is \(value); it must be a number from 0 up")
      }
    }
    guard options.temperature == 1 && options.corruption == nil || model.vae != nil else {
      throw UserError("temperature is of z and corruption of x̂0: formulation none has no VAE")
    }
    let classes = model.configuration.classes
    if let label = options.label, !(0..<classes).contains(label) {
      throw UserError(
        classes == 0
          ? "the run's model has no classes, and so no label to ask for"
          : "label is \(label); the run's model has classes 0...\(classes - 1)")
    }
    guard options.guidanceWeight == 0 || !model.process.conditioning.withholdable.isEmpty else {
      throw UserError(
        """
        guidance takes a model that also knows what to say without its condition: train with \
        diffusion.drop_reconstruction, drop_latent or drop_label above 0
        """)
    }
    let together = options.batch ?? model.configuration.denoiser.kind.network.drawnTogether
    guard (1...65536).contains(together) else {
      throw UserError("batch is \(together); it must be in 1...65536")
    }
    // Steps that adapt would adapt to all images of a batch, and each depend on its company.
    batch = options.sampler == .rk45 ? 1 : together
  }

  /// Levels of noise on the way of an image; nil for a sampler that chooses its own.
  public var steps: Int? { options.sampler.countsSteps ? options.steps : nil }

  /// How often the network was asked for one image, on average over all that were refined; nil if
  /// none was.
  public var evaluations: Double? { tally.mean }

  /// Images `range` of the seed.
  ///
  /// - Returns: `[range.count, pixels]` in [0, 1].
  public func images(_ range: Range<Int>) throws -> Matrix {
    try check(count: range.count)
    return try refine(drafts(Array(range)))
  }

  /// What the VAE alone makes of the latents of the images `range`: x̂0.
  ///
  /// - Returns: `[range.count, pixels]` in [0, 1].
  /// - Throws: ``UserError`` for the unconditional baseline, which has no VAE.
  public func reconstructions(_ range: Range<Int>) throws -> Matrix {
    try check(count: range.count)
    return try reconstructions(drafts(Array(range)))
  }

  /// Refuses more images than memory holds.
  package func check(count: Int) throws {
    // Each image's noise and result, and a copy of either on the way.
    let images = 4 * 4 * count * model.shape.count
    let footprint = model.configuration.footprint(of: .denoiser, shape: model.shape)
    let atWork = min(options.threads, (count + batch - 1) / batch)
    let batches = 4 * batch * footprint.samplingPerImage * atWork
    try checkMemory(bytes: images + batches, "drawing \(count) images, \(batch) at a time,")
  }

  /// The classes that the first images of the seed are asked to be of; nil for a model without
  /// classes.
  package func labels(count: Int) -> [Int]? {
    model.configuration.classes == 0 ? nil : (0..<count).map(label)
  }

  private func label(_ index: Int) -> Int {
    options.label ?? index % max(1, model.configuration.classes)
  }

  /// What decides the first images of the seed.
  ///
  /// - Throws: ``UserError`` for more than memory holds.
  package func drafts(count: Int) throws -> [Draft] {
    try check(count: count)
    return try drafts(Array(0..<count))
  }

  /// What decides the images `indices` of the seed.
  func drafts(_ indices: [Int]) throws -> [Draft] {
    let z = try model.vae.map { vae in
      try inBatches(indices) { places in
        try model.prior.draw(
          places.map { indices[$0] }, of: vae, seed: options.seed,
          temperature: options.temperature)
      }
    }
    return drafts(indices, z: z)
  }

  /// The same, of given z, `[indices, latent]`.
  ///
  /// - Parameter labels: theirs, if not those that the options say.
  func drafts(_ indices: [Int], z: Matrix?, labels: [Int]? = nil) -> [Draft] {
    let starts = RandomStream(seed: options.seed, purpose: .start)
    func start(_ index: Int) -> Matrix {
      let noise = starts.normal(rows: [index], columns: model.shape.count)
      return options.noiseTemperature == 1
        ? noise : noise.affine(Float(options.noiseTemperature), 0)
    }
    return indices.enumerated().map { place, index in
      Draft(
        z: z?.rows(place..<place + 1),
        start: start(index), label: labels?[place] ?? label(index), noise: index, number: index)
    }
  }

  /// x̂0 of the drafts' z, `[drafts, pixels]` in [0, 1].
  package func reconstructions(_ drafts: [Draft]) throws -> Matrix {
    guard let vae = model.vae else {
      throw UserError("formulation none has no VAE and no reconstructions")
    }
    return try inBatches(drafts.map(\.number)) { places in
      let images = decoded(places.map { drafts[$0] }, vae)
      guard images.isFinite else { throw UserError("the VAE's output is not finite") }
      return images.clamped(to: 0...1)
    }
  }

  /// The whole second stage.
  ///
  /// - Returns: `[drafts, pixels]` in [0, 1].
  package func refine(_ drafts: [Draft]) throws -> Matrix {
    try refine(drafts) { try draw($0) { _ in } }
  }

  /// By the options' sampler.
  ///
  /// - Parameter seen: is told every noisy sample that the network is asked about.
  func draw(_ batch: Batch, _ seen: (Matrix) -> Void) throws -> Matrix {
    try options.settings.draw(
      from: batch.start(at: levels[0]), through: levels,
      level: model.process.schedule.level(noiseShare:),
      uncertainty: { model.posteriorVariance?($0) ?? 0 },
      denoise: { y, level in
        seen(y)
        return try batch.denoise(y, level)
      },
      estimate: { y, level in
        seen(y)
        return try batch.estimate(y, level)
      }, noise: batch.noise)
  }

  /// - Parameter draw: from the noise of a batch to its y0.
  private func refine(
    _ drafts: [Draft], by draw: @Sendable (Batch) throws -> Matrix
  ) throws -> Matrix {
    guard options.restoration == nil || drafts.allSatisfy({ $0.restored != nil }) else {
      throw UserError("there are no images to restore")
    }
    return try inBatches(drafts.map(\.number)) { places in
      let batch = try batch(places.map { drafts[$0] })
      let y0 = try draw(batch)
      tally.finish()
      return model.process.formulation.image(fromChain: y0, batch.known.reconstruction)
        .affine(0.5, 0.5).clamped(to: 0...1)
    }
  }

  /// A sampler of your own: a way from noise to data. What it is given and returns is
  /// `[batch, pixels]`, a row for each image, of the variable that the process is of: for
  /// `formulation: residual` what the VAE missed, else the image, in [-1, 1].
  ///
  /// - Parameters:
  ///   - start: a sample at the first level, pure noise.
  ///   - levels: from noise to `.clean`, as the options' steps and spacing say; of `rk45` the ends only.
  ///   - denoise: the network's estimate of the clean sample in a noisy one at a level, one of `levels`
  ///     or another of the schedule's.
  ///   - noise: fresh N(0, 1) for a step, counted from 0, every image's own.
  public typealias Sampler =
    @Sendable (
      _ start: Matrix, _ levels: [Level],
      _ denoise: (Matrix, Level) throws -> Matrix, _ noise: (Int) throws -> Matrix
    ) throws -> Matrix

  /// Images `range` of the seed, drawn by a sampler of your own in place of the options'.
  ///
  /// - Returns: `[range.count, pixels]` in [0, 1].
  /// - Throws: ``UserError`` for more than memory holds, and what the sampler does.
  public func images(_ range: Range<Int>, by sampler: Sampler) throws -> Matrix {
    try check(count: range.count)
    return try refine(drafts(Array(range))) { batch in
      let y0 = try sampler(batch.start(at: levels[0]), levels, batch.denoise, batch.noise)
      guard y0.rows == self.batch, y0.columns == model.shape.count, y0.isFinite else {
        throw UserError(
          "the sampler's result must be \(self.batch) by \(model.shape.count) finite numbers")
      }
      return y0
    }
  }

  /// x̂0 of a batch, `[batch, pixels]` in [0, 1] or near it, damaged if it is to be.
  private func decoded(_ drafts: [Draft], _ vae: VAE) -> Matrix {
    let images = vae.decode(.stacked(drafts.compactMap(\.z)), labels: drafts.map(\.label))
    guard let corruption = options.corruption else { return images }
    return corruption(
      images.clamped(to: 0...1), model.shape, numbers: drafts.map(\.noise), seed: options.seed)
  }

  /// The images of a batch, as samplers ask for them.
  func batch(_ drafts: [Draft]) throws -> Batch {
    let isConsistent = options.sampler == .consistency
    guard let network = isConsistent ? model.consistency : model.denoiser else {
      throw UserError("this model was loaded without its second stage")
    }
    let known = Known(
      reconstruction: model.vae.map { decoded(drafts, $0).affine(2, -1) },
      z: model.vae.map { _ in .stacked(drafts.compactMap(\.z)) }, labels: drafts.map(\.label))
    return Batch(
      drafts, known, network, model, options, tally: tally)
  }

  /// Runs `body` over batches of exactly ``batch`` images, image i always in row i modulo
  /// that, empty rows filled up with repetitions. Products round differently for different heights,
  /// and with some kernels for different rows, but an image must not depend on what else is drawn.
  ///
  /// - Parameters:
  ///   - images: their numbers.
  ///   - body: gets places in `images`, and returns a row for each.
  /// - Returns: a row for each of `images`.
  func inBatches(
    _ images: [Int], _ body: @Sendable ([Int]) throws -> Matrix
  ) throws -> Matrix {
    // For every batch, which image is in which row; for every row, how many batches have it taken.
    var batches: [[Int: Int]] = []
    var taken = [Int](repeating: 0, count: batch)
    for (index, image) in images.enumerated() {
      let row = image % batch
      if taken[row] == batches.count { batches.append([:]) }
      batches[taken[row]][row] = index
      taken[row] += 1
    }
    let parts = try concurrently(batches.count, threads: options.threads) {
      [batches, rows = batch] number in
      let places = batches[number].sorted { $0.key < $1.key }
      let filler = places[0].value
      let results = try body((0..<rows).map { batches[number][$0] ?? filler })
      return results.rows(at: places.map(\.key))
    }
    var all = Matrix(images.count, parts.first?.columns ?? 0)
    for (batch, part) in zip(batches, parts) {
      for (row, place) in batch.sorted(by: { $0.key < $1.key }).enumerated() {
        all.replaceRow(place.value, by: part, row)
      }
    }
    return all
  }
}
