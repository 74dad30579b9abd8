/// How one stage is trained.
public struct StageSettings: Equatable, Sendable {
  /// Passes over the training images: In 0.001...100000. Nil if `steps` is given instead.
  public var epochs: Double? = 20

  /// Updates of the weights: In 1...1000000000. Nil if `epochs` is given instead.
  public var steps: Int?

  /// Images per update: In 1...65536.
  public var batch = 256

  /// Peak learning rate of AdamW: In 0...1.
  public var rate = 1e-3

  /// Updates over which the rate rises linearly to its peak: In 0...1000000.
  public var warmup = 100

  /// Rate at the end of the cosine decay, as a fraction of the peak: In 0...1; 1 is constant.
  public var finalRatio = 0.1

  /// Decoupled weight decay of AdamW: In 0...1.
  public var weightDecay = 0.0

  /// ε of AdamW, added to the root of a gradient's second moment: In 1e-12...1. The larger it is, the less
  /// are small gradients blown up.
  public var epsilon = 1e-8

  /// Largest global norm of the gradient, above which it is scaled down: In 1e-6...1e6; nil is off.
  public var clip: Double?

  /// Decay of the averaged weights: In 0..<1. While `(1 + step)/(10 + step)` is less, that is used.
  public var ema = 0.999
}

extension StageSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "epochs", \.epochs, .optional(.number(in: 0.001...100_000)),
        "passes over the training images; null if `steps` is given instead"),
      Field(
        "steps", \.steps, .optional(.integer(in: 1...1_000_000_000)),
        "updates of the weights; null if `epochs` is given instead"),
      Field("batch", \.batch, .integer(in: 1...65536), "images per update"),
      Field("rate", \.rate, .number(in: 0...1), "peak learning rate of AdamW"),
      Field(
        "warmup", \.warmup, .integer(in: 0...1_000_000),
        "updates over which the rate rises linearly to its peak"),
      Field(
        "final_ratio", \.finalRatio, .number(in: 0...1),
        "rate at the end of the cosine decay, as a fraction of the peak; 1 is constant"),
      Field(
        "weight_decay", \.weightDecay, .number(in: 0...1), "decoupled weight decay of AdamW"),
      Field(
        "epsilon", \.epsilon, .number(in: 1e-12...1),
        "ε of AdamW, added to the root of the gradient's mean square: what is less is not blown up"),
      Field(
        "clip", \.clip, .optional(.number(in: 1e-6...1e6)),
        "largest global norm of the gradient, above which it is scaled down; null is off"),
      Field(
        "ema", \.ema, .number(in: 0..<1),
        "decay of the averaged weights; while (1 + step)/(10 + step) is less, that is used"),
    ]
  }
}

/// How the stages are trained.
public struct TrainingSettings: Equatable, Sendable {
  /// In which order the stages are trained.
  public enum Plan: String, CaseIterable, Sendable {
    /// First the VAE, then, with that frozen, the denoiser.
    case twoStage = "two-stage"
    /// Both at once, by the sum of their losses, the ELBO in nats a pixel.
    case joint
    /// The same sum; updates move the VAE and the denoiser in turn.
    case alternating
  }

  public var plan = Plan.twoStage

  /// What follows a loss, or a gradient, that is not finite.
  public enum Remedy: String, CaseIterable, Sendable {
    /// The end, with a checkpoint of the weights before.
    case stop
    /// The next batch.
    case skip
    /// The next batch, with the weights of the last checkpoint.
    case rollback
  }

  public var onNonfinite = Remedy.stop

  /// The first stage.
  public var vae = StageSettings(rate: 2e-3, finalRatio: 0.02)

  /// A prior that is a diffusion.
  public var prior = StageSettings(epochs: 30, rate: 2e-3, finalRatio: 0.02, clip: 1)

  /// The second stage.
  public var denoiser = StageSettings(clip: 1)

  /// A consistency model.
  public var consistency = StageSettings(epochs: 5, rate: 2e-4, clip: 1)

  /// Slices of a batch that are worked on at the same time: In 1...64.
  ///
  /// Sums depend on it in their last bits, and on the number of threads not at all.
  public var lanes = 2

  /// Of every random number.
  public var seed: UInt64 = 0

  /// Grids of samples that a stage writes on its way: In 0...1000.
  public var grids = 4

  /// Updates from one checkpoint to the next, at most: In 1...1000000000. Nil: one every five minutes.
  public var checkpointSteps: Int?

  /// Checkpoints of an unfinished stage that are kept, the last ones: In 1...100. From 2 up there is one to
  /// go back to where the last is damaged.
  public var checkpoints = 2
}

extension TrainingSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "plan", \.plan, .choice,
        "the VAE first and then, with that frozen, the denoiser; or both at once, or by updates of either "
          + "in turn, as `denoiser` says, without `vae`"),
      Field("vae", \.vae, "the first stage"),
      Field("prior", \.prior, "a prior that is a diffusion"),
      Field("denoiser", \.denoiser, "the second stage"),
      Field("consistency", \.consistency, "a consistency model"),
      Field(
        "lanes", \.lanes, .integer(in: 1...64),
        "slices of a batch that are worked on at the same time"),
      Field("seed", \.seed, .integer(in: 0...UInt64.max), "of every random number"),
      Field(
        "grids", \.grids, .integer(in: 0...1000), "grids of samples that a stage writes on its way"
      ),
      Field(
        "checkpoint_steps", \.checkpointSteps, .optional(.integer(in: 1...1_000_000_000)),
        "updates from one checkpoint to the next, at most; there is one every five minutes anyway"),
      Field(
        "checkpoints", \.checkpoints, .integer(in: 1...Run.mostCheckpoints),
        "checkpoints of an unfinished stage that are kept, the last ones; a damaged one is passed over"
      ),
      Field(
        "on_nonfinite", \.onNonfinite, .choice,
        "what follows a loss or gradient that is not finite: the end, with a checkpoint; or the next batch, "
          + "with the weights as they were, or with those of the last checkpoint; ten in a row are the end"
      ),
    ]
  }
}
