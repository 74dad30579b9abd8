import ArgumentParser
import DiffuseVAE
import Diffusion

/// The help of an option that is a setting of the configuration, too.
private func configured(_ text: String, by setting: String) -> ArgumentHelp {
  "\(text) (default: the configuration's sampling.\(setting))"
}

/// The options of commands that say how the chain is walked.
public struct SamplerArguments: ParsableArguments {
  @Option(help: configured("How one level of noise leads to the next.", by: "sampler"))
  public var sampler: SamplingSettings.Sampler?

  @Option(
    parsing: .unconditional, help: configured("Share of fresh noise in ddim, 0...1.", by: "eta"))
  public var eta: Double?

  @Option(
    help: configured(
      "Variance of the steps of ddpm; learned is of diffusion.learn_variance.", by: "variance"))
  public var variance: ReverseVariance?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Noise that euler and heun add and take away again, over all steps, 0...10000.", by: "churn"))
  public var churn: Double?

  @Option(help: configured("The step of pc from one level to the next.", by: "predictor"))
  public var predictor: Predictor?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Steps of Langevin's dynamics at each level of pc and langevin, 0...100.", by: "corrections"))
  public var corrections: Int?

  @Option(
    parsing: .unconditional,
    help: configured("Signal-to-noise ratio of the corrections of pc, 0...1.", by: "snr"))
  public var snr: Double?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Size of the corrections of langevin, in units of the noise's variance, 0...2.",
      by: "step_size"))
  public var stepSize: Double?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Error of a step of rk45, relative to the norm of the image, 0.00001...1.", by: "tolerance"))
  public var tolerance: Double?

  @Option(help: configured("Which timesteps are visited.", by: "spacing"))
  public var spacing: Spacing?

  @Option(
    parsing: .unconditional,
    help: configured("Weight of classifier-free guidance, -1...100; 0 is none.", by: "guidance"))
  public var guidance: Double?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Least share of the process' time at which it guides, 0...1.", by: "guidance_from"))
  public var guidanceFrom: Double?

  @Option(
    parsing: .unconditional,
    help: configured(
      "Greatest share of the process' time at which it guides, 0...1.", by: "guidance_to"))
  public var guidanceTo: Double?

  public init() {}

  /// Whether none of them is given.
  public var isEmpty: Bool {
    sampler == nil && spacing == nil && special.isEmpty
      && [guidance, guidanceFrom, guidanceTo].allSatisfy { $0 == nil }
  }

  /// The names of those given that only some samplers have.
  private var special: Set<String> {
    let given = [
      "eta": eta != nil, "variance": variance != nil, "churn": churn != nil,
      "predictor": predictor != nil, "corrections": corrections != nil, "snr": snr != nil,
      "step_size": stepSize != nil, "tolerance": tolerance != nil,
    ]
    return Set(given.filter(\.value).keys)
  }

  /// Changes `options` as far as these say.
  ///
  /// - Parameter inverting: whether x_T are looked for that lead back to images, which is done by
  ///   deterministic DDIM.
  /// - Throws: `ValidationError` for an option that the sampler does not have, or that such a search
  ///   does not.
  public func apply(to options: inout SamplingOptions, inverting: Bool = false) throws {
    // Few steps are enough for a consistency model alone.
    if inverting, options.sampler == .consistency { options.steps = SamplingSettings().steps }
    options.sampler = sampler ?? (inverting ? .ddim : options.sampler)
    for (name, samplers) in SamplingSettings.special where special.contains(name) {
      guard samplers.contains(options.sampler) else {
        let names = samplers.map(\.rawValue).joined(separator: " or ")
        let option = String(name.map { $0 == "_" ? "-" : $0 })
        throw ValidationError("--\(option) is for --sampler \(names)")
      }
    }
    guard spacing == nil || options.sampler.countsSteps else {
      throw ValidationError("--spacing is for samplers other than \(options.sampler.rawValue)")
    }
    options.guidanceWeight = guidance ?? options.guidanceWeight
    guard guidanceFrom == nil && guidanceTo == nil || options.guidanceWeight != 0 else {
      throw ValidationError("--guidance-from and --guidance-to are for a --guidance other than 0")
    }
    options.eta = eta ?? (inverting ? 0 : options.eta)
    guard !inverting || options.sampler == .ddim && options.eta == 0 else {
      throw ValidationError("--invert goes backwards by --sampler ddim and --eta 0 only")
    }
    options.variance = variance ?? options.variance
    options.churn = churn ?? options.churn
    options.predictor = predictor ?? options.predictor
    options.corrections = corrections ?? options.corrections
    options.snr = snr ?? options.snr
    options.stepSize = stepSize ?? options.stepSize
    options.tolerance = tolerance ?? options.tolerance
    options.spacing = spacing ?? options.spacing
    options.guidanceFrom = guidanceFrom ?? options.guidanceFrom
    options.guidanceTo = guidanceTo ?? options.guidanceTo
  }

  /// Refuses a number of steps where a tolerance decides it.
  public static func checkSteps(isGiven: Bool, _ options: SamplingOptions) throws {
    guard !isGiven || options.sampler.countsSteps else {
      throw ValidationError(
        "--steps is for samplers other than \(options.sampler.rawValue), which has a tolerance")
    }
  }
}
