import Diffusion

/// The images to learn.
public struct DataSettings: Equatable, Sendable {
  /// `digits` or a set of known density, `gaussian`, `gaussian-rotated` or `gaussian-mixture`, which
  /// are built in, or the name of a ``SetFolder``.
  public var set = "digits"

  /// The folder that holds the set; nil where such a set is usually kept.
  public var folder: String?

  /// Whether the mirror images of the training images are training images, too: of photographs they
  /// are as likely, of digits they are none.
  public var flip = false
}

extension DataSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "set", \.set, .text,
        "built in are `digits` and sets of known density, `gaussian`, `gaussian-rotated` and "
          + "`gaussian-mixture`; else the name of a set of files"),
      Field(
        "folder", \.folder, .optional(.text),
        "folder that holds the set; null: where such a set is usually kept"),
      Field(
        "flip", \.flip, .boolean,
        "whether the mirror images of the training images are training images, too"),
    ]
  }
}

/// The second stage's process, and what its network is asked for.
public struct DiffusionSettings: Equatable, Sendable {
  /// Where x̂0 enters the process.
  public enum Formulation: String, CaseIterable, Sendable {
    /// Not into the process: only the network sees it (the paper's formulation 1).
    case concat

    /// As its centre: `x_t ~ N(α x0 + x̂0, σ² I)` (the paper's formulation 2).
    case centred

    /// As what need not be learnt: `x_t ~ N(α (x0 - x̂0) + x̂0, σ² I)`.
    case residual

    /// Nowhere: plain diffusion, without a VAE.
    case unconditional = "none"
  }

  /// Where x̂0 enters the process.
  public var formulation = Formulation.concat

  /// Whether the network also sees x̂0. Unless given, true for every formulation but `none`.
  public var condition = true

  /// Whether the network sees z, with the time.
  public var conditionLatent = false

  /// Classes of images whose label the network sees, with the time: In 0...256; 0 for none.
  public var classes = 0

  /// How often training withholds x̂0, z and the label of an image from the network, each by itself:
  /// In 0...1. Guidance needs one of them.
  public var dropReconstruction = 0.0
  public var dropLatent = 0.0
  public var dropLabel = 0.0

  /// Noise on x̂0 in training ("conditioning augmentation", Ho et al. 2021, "Cascaded Diffusion
  /// Models"): its deviation is drawn for every image, uniformly from 0 to this: In 0...10. A
  /// process that is centred on x̂0 is then centred on the noised one.
  public var conditionNoise = 0.0

  /// T, the steps of the process: In 20...100000.
  public var steps = 1000

  /// How noise grows with t.
  public var schedule = ScheduleKind.cosine

  /// Whether the process ends at pure noise: zero terminal SNR.
  public var zeroSNR = false

  /// What the network predicts.
  public var target = PredictionTarget.original

  /// What the squared error of x0 weighs at each t.
  public var loss = LossWeight.original

  /// γ of the losses that have one: In 0...1000. Unless given, 1 for `p2`.
  public var gamma = LossWeight.minimumSNR.usualGamma

  /// Which t training looks at, and how often.
  public var timesteps = TimestepSampling.uniform

  /// Whether the network also chooses the variance of the reverse steps, for every pixel.
  public var learnVariance = false

  /// Whether samplers clip the predicted x0 to the range of the data.
  public var clip = true
}

extension DiffusionSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field("formulation", \.formulation, .choice, "where x̂0 enters the process"),
      Field(
        "condition", \.condition, .boolean,
        "whether the network also sees x̂0; unless given, false only for formulation none"),
      Field(
        "condition_latent", \.conditionLatent, .boolean,
        "whether the network also sees z, with the time"),
      Field(
        "classes", \.classes, .integer(in: 0...256),
        "classes of images whose label the network also sees, with the time; 0: it sees none"),
      Field(
        "drop_reconstruction", \.dropReconstruction, .number(in: 0...1),
        "share of images whose x̂0 training withholds from the network, for guidance"),
      Field(
        "drop_latent", \.dropLatent, .number(in: 0...1), "likewise, whose z it withholds"),
      Field(
        "drop_label", \.dropLabel, .number(in: 0...1), "likewise, whose label it withholds"),
      Field(
        "condition_noise", \.conditionNoise, .number(in: 0...10),
        "noise on x̂0 in training; its deviation, pixels being in [-1, 1], is up to this"),
      Field("steps", \.steps, .integer(in: 20...100_000), "T, the steps of the process"),
      Field("schedule", \.schedule, .choice, "how noise grows with t"),
      Field(
        "zero_snr", \.zeroSNR, .boolean,
        "whether the last step is rescaled to pure noise, and those before it with it"),
      Field("target", \.target, .choice, "what the network predicts"),
      Field(
        "loss", \.loss, .choice,
        "weight of the squared error of x0 at each t; the first four square it in that space"),
      Field(
        "gamma", \.gamma, .number(in: 0...1000),
        "of loss `min-snr` and `p2`; unless given, 1 for `p2`"),
      Field(
        "timesteps", \.timesteps, .choice,
        "which t training looks at: all alike; or, once it knows them, by their root mean square loss, "
          + "which is divided by how often; or times between them, too, spread evenly over a batch"),
      Field(
        "learn_variance", \.learnVariance, .boolean,
        "whether the network also chooses the variance of the reverse steps, for every pixel between "
          + "`small` and `large`; a thousandth of the variational bound is added to the loss"),
      Field(
        "clip", \.clip, .boolean,
        "whether samplers clip the predicted x0 to the range of the data"),
    ]
  }
}

/// The network of the second stage.
public struct DenoiserSettings: Equatable, Sendable {
  /// A further kind of network is a case here; its sizes are fields below.
  public enum Kind: String, CaseIterable, Sendable {
    case mlp, unet

    /// No network, but what the best one would say of a set of known density.
    case exact
  }

  /// Kind of network.
  public var kind = Kind.mlp

  /// Of `mlp`: width of the hidden layers: In 1...65536.
  public var width = 1024

  /// Of `mlp`: number of residual blocks: In 1...256.
  public var blocks = 4

  /// Of `unet`: channels at full size, at half of it, and so on: 1 to 5 multiples of 8,
  /// In 8...1024.
  public var channels = [32, 64, 64]

  /// Features of the time t, half of them cosines, half sines: even, In 2...65536.
  public var features = 256

  /// Width of the layers that embed them: In 1...65536. Unless given, 128 for `unet`.
  public var embedding = 256

  /// Share of the blocks' hidden numbers that each update drops: In 0..<1.
  public var dropout = 0.0
}

extension DenoiserSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "kind", \.kind, .choice,
        "kind of network; `exact` is no network, but what the best one would say of a set of known "
          + "density, for formulation `none`"),
      Field("width", \.width, .integer(in: 1...65536), "of `mlp`: width of the hidden layers"),
      Field("blocks", \.blocks, .integer(in: 1...256), "of `mlp`: number of residual blocks"),
      Field(
        "channels", \.channels, .list(of: .multiple(of: 8, in: 8...1024), count: 1...5),
        "of `unet`: channels at the image's size, at half of it, at a quarter, …"),
      Field(
        "features", \.features, .even(in: 2...65536),
        "features of the time t, half of them cosines, half sines"),
      Field(
        "embedding", \.embedding, .integer(in: 1...65536),
        "width of the layers that embed them; unless given, 128 for `unet`"),
      Field(
        "dropout", \.dropout, .number(in: 0..<1),
        "share of the blocks' hidden numbers that each update drops"),
    ]
  }
}

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
        "on_nonfinite", \.onNonfinite, .choice,
        "what follows a loss or gradient that is not finite: the end, with a checkpoint; or the next batch, "
          + "with the weights as they were, or with those of the last checkpoint; ten in a row are the end"
      ),
    ]
  }
}
