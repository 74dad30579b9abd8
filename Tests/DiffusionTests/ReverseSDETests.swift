import Diffusion
import Foundation
import Testing

@Suite("Solvers of the reverse SDE")
struct ReverseSDETests {
  @Test("Euler–Maruyama: v ← (1 + βΔ(½ - 1/v))² v + βΔ", arguments: ScheduleKind.allCases)
  func eulerMaruyamaRecursion(kind: ScheduleKind) throws {
    for data in [
      GaussianData(), GaussianData(mean: 0.6, variance: 0.25),
      GaussianData(mean: -1.5, variance: 4),
    ] {
      for steps in [1, 2, 10, 100] {
        let levels = try NoiseSchedule(kind, steps: 1000).levels(count: steps)
        let found = Coefficients.moments(
          eulerMaruyama(
            from: Coefficients.start(steps: steps), through: levels,
            denoise: { Coefficients.denoise(data, $0, $1) },
            noise: { Coefficients.noise($0, steps: steps) }))
        // Of deviations from α m, by the score's -1/v(t).
        var (v, mean) = (1.0, 0.0)
        for (level, next) in zip(levels, levels.dropFirst()) {
          guard next != .clean else {
            let gain = data.gain(at: level)
            (v, mean) = (gain * gain * v, data.mean + gain * (mean - level.alpha * data.mean))
            continue
          }
          let beta = 1 - level.alphaBar / next.alphaBar
          let marginal = data.variance(at: level)
          let k = 1 + beta * (0.5 - 1 / marginal)
          v = k * k * v + beta
          mean = k * mean + beta * level.alpha * data.mean / marginal
        }
        expect("mean in \(steps) steps", found.mean, is: mean, within: 1e-9 * max(1, abs(mean)))
        expect("variance in \(steps) steps", found.variance, is: v, within: 1e-9 * max(1, v))
      }
    }
  }

  @Test("Euler–Maruyama in ever more steps ends at the data's variance, with an error of order 1")
  func eulerMaruyamaOrder() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    func error(_ steps: Int) -> Double {
      let levels = levels(anglesFrom: 1.5, to: 0.2, steps: steps)
      let found = Coefficients.moments(
        eulerMaruyama(
          from: Coefficients.start(steps: steps), through: levels,
          denoise: { Coefficients.denoise(data, $0, $1) },
          noise: { Coefficients.noise($0, steps: steps) }))
      return found.variance - exactVariance(data, levels)
    }
    expect("order", log2(error(400) / error(800)), is: 1, within: 0.05)
  }

  /// Of the reverse SDE started with variance 1 instead of v(T): what is too much of it decays by
  /// the square of `α'/α v/v' · …`, here by `(ᾱ/ᾱ')(v'/v)²` (the kernel of the exact reverse).
  func exactVariance(_ data: GaussianData, _ levels: [Level]) -> Double {
    guard let first = levels.first, let last = levels.last else { return .nan }
    let (before, after) = (data.variance(at: first), data.variance(at: last))
    // x_T given x_t has covariance √(ᾱ_T/ᾱ_t) v_t with it, so E[x_t | x_T] has that over v_T.
    let kernel = (first.alphaBar / last.alphaBar).squareRoot() * after / before
    return after + kernel * kernel * (1 - before)
  }

  @Test("SDE-DPM-Solver++ (2M) is its published step, written out with h")
  func dpmSolverSDE() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let steps = 12
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: steps)
    let found = dpmSolver2M(
      from: Coefficients.start(steps: steps), through: levels, stochastic: true,
      denoise: { Coefficients.denoise(data, $0, $1) },
      noise: { Coefficients.noise($0, steps: steps) })
    var x = Coefficients.start(steps: steps)
    var (last, lastH): ([Double], Double) = ([], .infinity)
    for (i, (a, b)) in zip(levels, levels.dropFirst()).enumerated() {
      let x0 = Coefficients.denoise(data, x, a)
      guard b != .clean else {
        x = x0
        continue
      }
      let h = (log(b.snr) - log(a.snr)) / 2
      let full = b.alpha * (1 - exp(-2 * h))
      let spread = b.sigma * (1 - exp(-2 * h)).squareRoot()
      let z = Coefficients.noise(i, steps: steps)
      for j in x.indices {
        let slope = i == 0 ? 0 : (x0[j] - last[j]) * h / lastH
        x[j] = b.sigma / a.sigma * exp(-h) * x[j] + full * (x0[j] + slope / 2) + spread * z[j]
      }
      (last, lastH) = (x0, h)
    }
    expect("coefficients", found, is: x, within: 1e-10)
  }

  @Test("SDE-DPM-Solver++ (2M): the variance it ends at is of order 2")
  func dpmSolverSDEOrder() {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    func error(_ steps: Int) -> Double {
      let levels = levels(lambdasFrom: -2.5, to: 1.5, steps: steps)
      let found = Coefficients.moments(
        dpmSolver2M(
          from: Coefficients.start(steps: steps), through: levels, stochastic: true,
          denoise: { Coefficients.denoise(data, $0, $1) },
          noise: { Coefficients.noise($0, steps: steps) }))
      return found.variance - exactVariance(data, levels)
    }
    expect("order", log2(error(200) / error(400)), is: 2, within: 0.1)
  }

  @Test("samples have the variance of the recursion within four standard errors")
  func samples() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 50)
    let count = 4000
    for (name, sample) in [
      ("Euler–Maruyama", { eulerMaruyama(from: $0, through: levels, denoise: $1, noise: $2) }),
      (
        "2M",
        { dpmSolver2M(from: $0, through: levels, stochastic: true, denoise: $1, noise: $2) }
      ),
    ] as [(String, ([Double], ([Double], Level) -> [Double], (Int) -> [Double]) -> [Double])] {
      let exact = Coefficients.moments(
        sample(
          Coefficients.start(steps: 50), { Coefficients.denoise(data, $0, $1) },
          { Coefficients.noise($0, steps: 50) }))
      var numbers = NormalNumbers(state: 5)
      let found = sample(numbers.vector(count), { data.denoise($0, $1) }) { _ in
        numbers.vector(count)
      }
      let n = Double(count)
      let mean = found.reduce(0, +) / n
      let variance = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
      expect("\(name), mean", mean, is: exact.mean, within: 4 * (exact.variance / n).squareRoot())
      expect(
        "\(name), variance", variance, is: exact.variance,
        within: 4 * exact.variance * (2 / n).squareRoot())
    }
  }
}
