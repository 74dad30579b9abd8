import ArgumentParser
import DiffuseVAE
import Diffusion

extension SamplingSettings.Sampler: ExpressibleByArgument {}
extension ReverseVariance: ExpressibleByArgument {}
extension Spacing: ExpressibleByArgument {}

/// The options of commands that say how the chain is walked.
public struct SamplerArguments: ParsableArguments {
  @Option(help: "Ancestral sampling (ddpm) or DDIM.")
  public var sampler: SamplingSettings.Sampler?

  @Option(help: "Share of fresh noise in DDIM, 0...1.")
  public var eta: Double?

  @Option(help: "Variance of the ancestral sampler's steps.")
  public var variance: ReverseVariance?

  @Option(help: "Which timesteps are visited.")
  public var spacing: Spacing?

  public init() {}

  /// Whether none of them is given.
  public var isEmpty: Bool {
    sampler == nil && eta == nil && variance == nil && spacing == nil
  }

  /// Changes `options` as far as these say.
  ///
  /// - Throws: `ValidationError` for an option that the sampler does not have.
  public func apply(to options: inout SamplingOptions) throws {
    options.sampler = sampler ?? options.sampler
    guard eta == nil || options.sampler == .ddim else {
      throw ValidationError("--eta is for --sampler ddim")
    }
    guard variance == nil || options.sampler == .ddpm else {
      throw ValidationError("--variance is for --sampler ddpm")
    }
    options.eta = eta ?? options.eta
    options.variance = variance ?? options.variance
    options.spacing = spacing ?? options.spacing
  }
}
