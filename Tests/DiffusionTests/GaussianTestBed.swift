import Diffusion
import Foundation

/// Data N(m, s²), whose exact denoiser stands in for a trained network.
struct GaussianData {
  var mean = 0.0
  var variance = 1.0

  /// `s²/(ᾱ s² + 1 - ᾱ) α`, how far E[x0 | x] follows x.
  func gain(at level: Level) -> Double {
    level.alpha * variance / (level.alphaBar * variance + 1 - level.alphaBar)
  }

  /// `E[x0 | x] = m + gain (x - α m)`
  func denoise(_ x: Double, _ level: Level) -> Double {
    mean + gain(at: level) * (x - level.alpha * mean)
  }

  /// `ᾱ s² + 1 - ᾱ`, the variance of a sample.
  func variance(at level: Level) -> Double { level.alphaBar * variance + 1 - level.alphaBar }

  /// `Var(x0 | x) = s² σ²/(ᾱ s² + 1 - ᾱ)`
  func uncertainty(at level: Level) -> Double {
    variance * (1 - level.alphaBar) / variance(at: level)
  }

  /// Where the probability-flow ODE takes x: it keeps the place in units of the deviation.
  func flow(_ x: Double, from level: Level, to next: Level) -> Double {
    let scale = (variance(at: next) / variance(at: level)).squareRoot()
    return next.alpha * mean + scale * (x - level.alpha * mean)
  }

  /// The same for every element.
  func denoise(_ x: [Double], _ level: Level) -> [Double] {
    x.map { denoise($0, level) }
  }
}

/// A Gaussian random variable, written as its coefficients in 1, x_T and the noise of each step.
///
/// A linear sampler that is given unit vectors in place of noise returns the coefficients of its
/// output: exact mean and variance from one run, without any sampling.
enum Coefficients {
  static func unit(_ i: Int, steps: Int) -> [Double] {
    var vector = [Double](repeating: 0, count: steps + 2)
    vector[i] = 1
    return vector
  }

  static func start(steps: Int) -> [Double] { unit(1, steps: steps) }

  static func noise(_ step: Int, steps: Int) -> [Double] { unit(2 + step, steps: steps) }

  static func denoise(_ data: GaussianData, _ x: [Double], _ level: Level) -> [Double] {
    let gain = data.gain(at: level)
    var x0 = x.map { gain * $0 }
    x0[0] += data.mean - gain * level.alpha * data.mean
    return x0
  }

  static func moments(_ x: [Double]) -> (mean: Double, variance: Double) {
    (x[0], x.dropFirst().reduce(0) { $0 + $1 * $1 })
  }
}

/// `steps + 1` levels from pure noise to clean data, at equal angles φ where ᾱ = cos² φ.
func levelsAtUniformAngles(steps N: Int) -> [Level] {
  (1...N).reversed().map { i in
    let alpha = i == N ? 0 : cos(.pi / 2 * Double(i) / Double(N))
    return Level(timestep: Double(i - 1), alphaBar: alpha * alpha)
  } + [.clean]
}

/// `steps + 1` levels at equal distances of the angle, all of them with noise.
func levels(anglesFrom first: Double, to last: Double, steps N: Int) -> [Level] {
  (0...N).map { level(angle: first + (last - first) * Double($0) / Double(N)) }
}

/// `steps + 1` levels at equal distances of λ, all of them with noise.
func levels(lambdasFrom first: Double, to last: Double, steps N: Int) -> [Level] {
  (0...N).map {
    level(noiseShare: 1 / (1 + exp(first + (last - first) * Double($0) / Double(N))))
  }
}

func level(angle: Double) -> Level {
  Level(timestep: 0, alphaBar: cos(angle) * cos(angle))
}

/// For samplers that ask between levels; no denoiser here looks at the timestep.
func level(noiseShare: Double) -> Level { Level(timestep: 0, noiseShare: noiseShare) }

/// Independent N(0, 1) numbers, the same in every run (SplitMix64, Box-Muller).
struct NormalNumbers {
  var state: UInt64

  mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return (Double(z >> 11) + 0.5) / 0x1p53
  }

  mutating func next() -> Double {
    (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform())
  }

  mutating func vector(_ count: Int) -> [Double] { (0..<count).map { _ in next() } }
}
