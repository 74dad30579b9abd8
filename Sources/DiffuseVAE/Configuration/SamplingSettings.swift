import Diffusion

/// How images are drawn.
public struct SamplingSettings: Equatable, Sendable {
  /// How one level of noise leads to the next.
  public enum Sampler: String, CaseIterable, Sendable {
    case ddim, ddpm, euler, heun
    case dpmSolver2S = "dpm++2s"
    case dpmSolver2M = "dpm++2m"
    case dpmSolver3M = "dpm++3m"
    case dpmSolver2MSDE = "dpm++2m-sde"
    case uniPC = "unipc"
    case plms
    case reverseSDE = "sde"
    case predictorCorrector = "pc"
    case langevin
    case rk45
    case consistency
  }

  public var sampler = Sampler.plms

  /// Levels of noise that are visited: In 1...100000, and at most the steps of the process. Of no
  /// use to `rk45`.
  public var steps = 10

  /// Noise that `ddim` adds: In 0...1, from none to as much as `ddpm`.
  public var eta = 0.0

  /// Of the noise that `ddpm` adds.
  public var variance = ReverseVariance.small

  /// Noise that `euler` and `heun` add and take away again, `S_churn`: In 0...10000.
  public var churn = 0.0

  /// Of `pc`: the step from one level to the next.
  public var predictor = Predictor.ancestral

  /// Of `pc` and `langevin`: steps of Langevin's dynamics at each level: In 0...100.
  public var corrections = 1

  /// Of `pc`: their ratio of signal to noise: In 0...1.
  public var snr = 0.16

  /// Of `langevin`: their size, in units of the noise's variance: In 0...2.
  public var stepSize = 0.2

  /// Of `rk45`: the error of a step, relative to the norm of the image: In 1e-5...1.
  public var tolerance = 1e-3

  /// Which steps of the process are visited.
  public var spacing = Spacing.uniform

  /// w of classifier-free guidance: In -1...100; 0 is none.
  public var guidanceWeight = 0.0

  /// Where it guides, in shares of the process' time: each In 0...1.
  public var guidanceFrom = 0.0
  public var guidanceTo = 1.0

  public init() {}
}

extension SamplingSettings {
  /// - Precondition: ``check()`` lets them pass.
  var guidance: Guidance {
    Guidance(weight: guidanceWeight, interval: guidanceFrom...guidanceTo)
  }

  /// The names of settings that only some samplers have, and theirs.
  package static let special: [(name: String, samplers: [Sampler])] = [
    ("eta", [.ddim]),
    ("variance", [.ddpm]),
    ("churn", [.euler, .heun]),
    ("predictor", [.predictorCorrector]),
    ("corrections", [.predictorCorrector, .langevin]),
    ("snr", [.predictorCorrector]),
    ("step_size", [.langevin]),
    ("tolerance", [.rk45]),
  ]

  /// Names of the settings that are not as if they were not given.
  var changed: Set<String> {
    Set(zip(entries, Self().entries).filter { $0.yaml() != $1.yaml() }.map(\.0.name))
  }

  /// Refuses what a configuration refuses, of whatever origin.
  ///
  /// - Throws: ``UserError``
  func check() throws {
    func require(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
      guard range.contains(value) else {
        throw UserError("\(name) is \(value); it must be \(Notation.number(in: range).allowed)")
      }
    }
    try require("eta", eta, Self.etas)
    try require("churn", churn, Self.churns)
    try require("snr", snr, Self.ratios)
    try require("step_size", stepSize, Self.stepSizes)
    try require("tolerance", tolerance, Self.tolerances)
    try require("guidance", guidanceWeight, Self.weights)
    try require("guidance_from", guidanceFrom, Self.shares)
    try require("guidance_to", guidanceTo, Self.shares)
    guard guidanceFrom <= guidanceTo else {
      throw UserError("guidance_from is \(guidanceFrom), more than guidance_to, \(guidanceTo)")
    }
    guard guidanceWeight == 0 || sampler != .consistency else {
      throw UserError("guidance is for samplers other than consistency: take guidance 0")
    }
    guard Self.numbersOfCorrections.contains(corrections) else {
      let allowed = Notation.integer(in: Self.numbersOfCorrections).allowed
      throw UserError("corrections is \(corrections); it must be \(allowed)")
    }
  }

  private static let etas = 0.0...1
  private static let churns = 0.0...10_000
  private static let numbersOfCorrections = 0...100
  private static let ratios = 0.0...1
  private static let stepSizes = 0.0...2
  private static let tolerances = 1e-5...1
  private static let weights = -1.0...100
  private static let shares = 0.0...1
}

extension SamplingSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field("sampler", \.sampler, .choice, "how one level of noise leads to the next"),
      Field(
        "steps", \.steps, .integer(in: 1...100_000),
        "levels of noise visited, at most `diffusion.steps`; each is one evaluation of the network, "
          + "of `heun` and `dpm++2s` two but for the last, of `pc` also its corrections, "
          + "of `langevin` these alone and one in the end; of no use to `rk45`"),
      Field(
        "eta", \.eta, .number(in: etas),
        "noise that `ddim` adds, from none to as much as `ddpm`"),
      Field(
        "variance", \.variance, .choice,
        "of the noise that `ddpm` adds; `learned` is for `diffusion.learn_variance`"),
      Field(
        "churn", \.churn, .number(in: churns),
        "noise that `euler` and `heun` add and take away again, over all steps"),
      Field("predictor", \.predictor, .choice, "of `pc`: the step from one level to the next"),
      Field(
        "corrections", \.corrections, .integer(in: numbersOfCorrections),
        "of `pc` and `langevin`: steps of Langevin's dynamics at each level"),
      Field("snr", \.snr, .number(in: ratios), "of `pc`: their ratio of signal to noise"),
      Field(
        "step_size", \.stepSize, .number(in: stepSizes),
        "of `langevin`: their size, in units of the noise's variance"),
      Field(
        "tolerance", \.tolerance, .number(in: tolerances),
        "of `rk45`: error of a step, relative to the norm of the image"),
      Field("spacing", \.spacing, .choice, "which steps of the process are visited"),
      Field(
        "guidance", \.guidanceWeight, .number(in: weights),
        "away from what the network says without what `diffusion.drop_…` withholds; 0 is not at all"
      ),
      Field(
        "guidance_from", \.guidanceFrom, .number(in: shares),
        "least share of the process' time at which it guides"),
      Field(
        "guidance_to", \.guidanceTo, .number(in: shares), "greatest share of it"),
    ]
  }
}
