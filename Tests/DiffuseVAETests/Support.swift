import Formats
import Foundation
import Logging
import Neural
import Testing

@testable import DiffuseVAE

/// Draws of N(0, 1), the same for the same seed.
func normal(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
  RandomStream(seed: seed, purpose: .latent).normal(rows: 0..<rows, columns: columns)
}

/// Calls `body` with a fresh folder that is removed afterwards.
func inTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = NSTemporaryDirectory() + "diffusevae-test-" + UUID().uuidString
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}

/// A configuration whose both stages train in a moment on digits.
func small(_ settings: String...) throws -> Configuration { try small(settings) }

func small(_ settings: [String]) throws -> Configuration {
  let common = [
    "vae.hidden=[24]", "vae.latent=4", "prior.components=3", "denoiser.width=24",
    "denoiser.blocks=2",
    "denoiser.channels=[16, 24]", "denoiser.features=16", "denoiser.embedding=16",
    "diffusion.steps=50", "sampling.steps=5", "training.grids=2", "training.lanes=3",
    "training.vae.steps=12", "training.denoiser.steps=12", "training.vae.batch=50",
    "training.denoiser.batch=50",
  ]
  return try Configuration(yaml: "", name: "small", overriding: common + settings)
}

/// A trained run of a small configuration.
func trainedRun(
  in runs: String, name: String = "small", _ configuration: Configuration, threads: Int = 2
) throws -> Run {
  let run = try Run.create(in: runs, name: name, stem: "small", configuration)
  let training = Training(
    run, configuration, data: try Dataset(configuration.data), threads: threads, logger: .silent)
  #expect(try training.train(configuration.stages))
  return run
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// The text of the error that `body` throws.
func problem<Result>(_ body: () throws -> Result) -> String {
  do {
    _ = try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

/// The largest error of the derivative by any parameter, relative to the gradient's norm, against
/// central differences along the gradient (where the slope is its norm) and along random
/// directions.
func worstGradientError<Goal: Objective>(
  _ objective: Goal, _ network: Goal.Network, _ slice: Slice, step: Float = 1e-2
) -> [String: Double] {
  var gradients = Gradients(of: network)
  objective.backward(network, objective.forward(network, slice).residuals, &gradients)
  var errors: [String: Double] = [:]
  network.forEachParameter { name, parameter in
    let gradient = gradients[parameter].value
    let norm = gradient.squaredNorm.squareRoot()
    var directions = (0..<2).map { normal(gradient.rows, gradient.columns, seed: $0) }
    if norm > 0 { directions.append(gradient) }
    for var direction in directions {
      direction.scale(Float(1 / direction.squaredNorm.squareRoot()))
      let losses = [step, -step].map { step in
        var moved = network
        moved.visitParameters { if $0 == name { $1.value.add(step, direction) } }
        return objective.forward(moved, slice).terms[0]
      }
      let slope = (losses[0] - losses[1]) / Double(2 * step)
      let error = abs(slope - gradient.dot(direction)) / max(norm, 1e-4)
      errors[name] = max(errors[name] ?? 0, error)
    }
  }
  return errors
}

extension Parameterized {
  /// Adds noise to every parameter, so that nothing is zero by construction.
  func shaken(_ scale: Float) -> Self {
    var copy = self
    var seed: UInt64 = 40
    copy.visitParameters { _, parameter in
      parameter.value.add(
        scale, normal(parameter.value.rows, parameter.value.columns, seed: seed))
      seed += 1
    }
    return copy
  }

  /// All arrays of every parameter, by name.
  var parameters: [String: Matrix] {
    var all: [String: Matrix] = [:]
    forEachParameter { name, parameter in
      var copy = parameter
      copy.visitArrays { all["\(name)/\($0)"] = $1 }
    }
    return all
  }
}

extension DenoiserSettings.Kind {
  /// Those that have weights.
  static let learned = allCases.filter { $0 != .exact }
}

extension Denoiser {
  /// The tests' own networks are not asked for it.
  func vectorJacobianProduct(
    _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
  ) -> (output: Matrix, product: Matrix) {
    Issue.record("asked for a derivative")
    return (predict(x, condition: condition, timestep: timestep), v)
  }
}
