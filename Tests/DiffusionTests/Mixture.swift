import Diffusion
import Foundation

/// Data of several Gaussians, whose exact denoiser is not linear.
struct MixtureData {
  let weights: [Double]
  let parts: [GaussianData]

  /// E[x0 | x]: each part's, weighed by its share of the density at x.
  func denoise(_ x: Double, _ level: Level) -> Double {
    let densities = zip(weights, parts).map { weight, part in
      let v = part.variance(at: level)
      let distance = x - level.alpha * part.mean
      return weight * exp(-distance * distance / (2 * v)) / v.squareRoot()
    }
    let sum = zip(densities, parts).reduce(0) { $0 + $1.0 * $1.1.denoise(x, level) }
    return sum / densities.reduce(0, +)
  }

  /// The probability that a sample at a level is below x.
  func below(_ x: Double, at level: Level) -> Double {
    zip(weights, parts).reduce(0) { sum, part in
      let deviation = part.1.variance(at: level).squareRoot()
      return sum + part.0 * erfc(-(x - level.alpha * part.1.mean) / deviation / 2.squareRoot()) / 2
    }
  }

  /// Where the probability-flow ODE takes x: in one dimension its paths do not cross, so that the
  /// probability of being below stays as it is. By bisection.
  func flow(_ x: Double, from level: Level, to next: Level) -> Double {
    let probability = below(x, at: level)
    var (low, high) = (-20.0, 20.0)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if below(middle, at: next) < probability { low = middle } else { high = middle }
    }
    return low
  }
}
