import ArgumentParser
import CommandSupport
import DiffuseVAE
import Evaluation

/// The options of likelihoods.
struct LikelihoodArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Also the bits a dimension of so many test images, 1...1000000, by the ELBO and the probability \
      flow. (default: none)
      """, valueName: "count"))
  var likelihood: Int?

  @Option(
    parsing: .unconditional,
    help: "Steps of the chain that an image's ELBO is estimated from, 1...100000. (default: 100)")
  var draws: Int?

  @Option(
    parsing: .unconditional,
    help: "Steps of the probability flow, four evaluations each, 1...10000. (default: 25)")
  var flowSteps: Int?

  /// Whether none of them is given.
  var isEmpty: Bool { likelihood == nil && draws == nil && flowSteps == nil }

  func validate() throws {
    guard likelihood != nil || isEmpty else {
      throw ValidationError("--draws and --flow-steps are for --likelihood")
    }
  }

  /// Nil unless likelihoods are asked for.
  func request(_ chosen: RunArguments) -> LikelihoodRequest? {
    likelihood.map { count in
      var options = LikelihoodOptions(threads: chosen.threads)
      options.draws = draws ?? options.draws
      options.flowSteps = flowSteps ?? options.flowSteps
      options.seed = chosen.seed
      return LikelihoodRequest(count: count, options)
    }
  }
}
