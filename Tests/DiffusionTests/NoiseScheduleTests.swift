import Diffusion
import Foundation
import Testing

@Suite("Noise schedule")
struct NoiseScheduleTests {
  @Test("linear: the product of 1 - β, β = linspace(1e-4, 0.02, 1000)")
  func linear() throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    #expect(schedule.steps == 1000)
    var logarithm = 0.0
    for t in 0..<1000 {
      logarithm += log1p(-(1e-4 * Double(999 - t) + 0.02 * Double(t)) / 999)
      let expected = exp(logarithm)
      expect("ᾱ[\(t)]", schedule.alphaBar[t], is: expected, within: 1e-12 * expected)
    }
  }

  @Test("linear: the printed sums over the schedule (diffusion ELBO row, s² = 1)")
  func printedSums() throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let levels = (0..<1000).map(schedule.level)
    let prior = -0.5 * log1p(-levels[999].alphaBar)
    let diffusion = zip(levels, levels.dropFirst()).reduce(0.0) {
      $0 + 0.5 * ($1.0.snr - $1.1.snr) / (1 + $1.1.snr)
    }
    let reconstruction = 0.5 * log(2 * .pi * exp(1) / (1 + levels[0].snr))
    expect("prior", prior, is: 2.017956e-5, within: 5e-12)
    expect("diffusion", diffusion, is: 5.070042, within: 5e-7)
    expect("total", prior + diffusion + reconstruction, is: 1.883831, within: 5e-7)
  }

  @Test("linear: β is scaled by 1000/T and clipped at 0.999", arguments: [1, 2, 10, 50, 250, 4000])
  func scaledLinear(T: Int) throws {
    let schedule = try NoiseSchedule(.linear, steps: T)
    var expected = 1.0
    for t in 0..<T {
      let fraction = T == 1 ? 0 : Double(t) / Double(T - 1)
      expected *= 1 - min((0.1 + 19.9 * fraction) / Double(T), 0.999)
      expect("ᾱ[\(t)]", schedule.alphaBar[t], is: expected, within: 1e-11 * expected)
    }
  }

  @Test("cosine: f(t)/f(0) up to the clipped last steps", arguments: [1, 10, 1000, 4000])
  func cosine(T: Int) throws {
    let schedule = try NoiseSchedule(.cosine, steps: T)
    func f(_ t: Int) -> Double { pow(cos((Double(t) / Double(T) + 0.008) / 1.008 * .pi / 2), 2) }
    var previous = 1.0
    for t in 1...T {
      let found = schedule.alphaBar[t - 1]
      if f(t) / f(t - 1) > 0.001 {
        expect("ᾱ[\(t - 1)]", found, is: f(t) / f(0), within: 1e-10 * f(t) / f(0))
      } else {
        expect("clipped ᾱ[\(t - 1)]", found, is: 0.001 * previous, within: 1e-12 * previous)
      }
      previous = found
    }
  }

  @Test("sigmoid: the logistic function from -3 to 3, up to the clipped last step")
  func sigmoid() throws {
    func gamma(_ t: Double) -> Double {
      func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
      return (logistic(3) - logistic(6 * t - 3)) / (logistic(3) - logistic(-3))
    }
    for T in [1, 10, 1000, 4000] {
      let schedule = try NoiseSchedule(.sigmoid, steps: T)
      for t in 1..<max(T, 2) where t < T {
        let expected = gamma(Double(t) / Double(T))
        expect("ᾱ[\(t - 1)]", schedule.alphaBar[t - 1], is: expected, within: 1e-10 * expected)
      }
      let before = T == 1 ? 1 : schedule.alphaBar[T - 2]
      expect("clipped ᾱ", schedule.alphaBar[T - 1], is: 0.001 * before, within: 1e-12)
    }
    // Symmetric about the middle, where it is ½.
    expect(
      "ᾱ at T/2", try NoiseSchedule(.sigmoid, steps: 1000).alphaBar[499], is: 0.5, within: 1e-12)
  }

  @Test("ve: σ from 0.01 to 50, each 5000^(1/(T-1)) times the one before")
  func ladder() throws {
    let schedule = try NoiseSchedule(.varianceExploding, steps: 101)
    for t in 0..<101 {
      let level = schedule.level(t)
      let expected = 0.01 * pow(5000, Double(t) / 100)
      expect("σ[\(t)]", level.sigma / level.alpha, is: expected, within: 1e-10 * expected)
    }
  }

  @Test(
    "zero terminal SNR: √ᾱ moved to 0 at the end and scaled to what it was at first",
    arguments: ScheduleKind.allCases, [2, 20, 1000])
  func zeroTerminalSNR(kind: ScheduleKind, T: Int) throws {
    let plain = try NoiseSchedule(kind, steps: T)
    let schedule = try NoiseSchedule(kind, steps: T, zeroTerminalSNR: true)
    #expect(schedule.alphaBar[T - 1] == 0)
    #expect(schedule.level(T - 1).snr == 0 && schedule.level(T - 1).sigma == 1)
    expect("ᾱ[0]", schedule.alphaBar[0], is: plain.alphaBar[0], within: 1e-15)
    let (first, last) = (plain.level(0).alpha, plain.level(T - 1).alpha)
    for t in 0..<T {
      let expected = (plain.level(t).alpha - last) * first / (first - last)
      expect("α[\(t)]", schedule.level(t).alpha, is: expected, within: 1e-14)
    }
    #expect(zip(schedule.alphaBar, schedule.alphaBar.dropFirst()).allSatisfy { $0 > $1 })
    #expect(schedule.level(noiseShare: 1) == schedule.level(T - 1))
    #expect(throws: DiffusionError.self) {
      try NoiseSchedule(kind, steps: 1, zeroTerminalSNR: true)
    }
  }

  @Test(
    "every schedule falls strictly and never reaches 1 or 0", arguments: ScheduleKind.allCases)
  func falls(kind: ScheduleKind) throws {
    for T in Array(1...60) + [100, 999, 1000, 100_000] {
      let alphaBar = try NoiseSchedule(kind, steps: T).alphaBar
      #expect(alphaBar.count == T)
      let (first, last) = (try #require(alphaBar.first), try #require(alphaBar.last))
      #expect(first < 1 && last > 0, "T = \(T): from \(first) to \(last)")
      let rise = zip(alphaBar, alphaBar.dropFirst()).first { $0 <= $1 }
      #expect(rise == nil, "T = \(T)")
    }
  }

  @Test("a number of steps outside 1...100000 is refused", arguments: [Int.min, -1, 0, 100_001])
  func refuses(T: Int) {
    let error = #expect(throws: DiffusionError.self) { try NoiseSchedule(.linear, steps: T) }
    #expect(
      error?.description == "the number of diffusion steps must lie in 1...100000, not \(T).")
  }

  @Test("levels: α² + σ² = 1, SNR = ᾱ/(1-ᾱ); 0.428571 at ᾱ = 0.3")
  func levels() throws {
    let level = Level(timestep: 0, alphaBar: 0.3)
    expect("SNR", level.snr, is: 0.428571, within: 5e-7)
    expect("α", level.alpha, is: 0.3.squareRoot(), within: 1e-15)
    expect("σ", level.sigma, is: 0.7.squareRoot(), within: 1e-15)
    #expect(Level.clean.alpha == 1 && Level.clean.sigma == 0 && Level.clean.snr == .infinity)

    let schedule = try NoiseSchedule(.cosine, steps: 7)
    for t in 0..<7 {
      #expect(schedule.level(t) == Level(timestep: Double(t), alphaBar: schedule.alphaBar[t]))
    }
  }

  @Test(
    "a level of any noise share: exact at the timesteps, in order between them, held at the ends",
    arguments: ScheduleKind.allCases, [1, 2, 20, 1000])
  func noiseShares(kind: ScheduleKind, T: Int) throws {
    let schedule = try NoiseSchedule(kind, steps: T)
    let levels = (0..<T).map(schedule.level)
    for (t, level) in levels.enumerated() {
      let tau = level.noiseShare
      expect("τ", tau * (level.alpha + level.sigma), is: level.sigma, within: 1e-15)
      expect("e^λ", exp(level.lambda) * level.sigma, is: level.alpha, within: 1e-14)
      let found = schedule.level(noiseShare: tau)
      // Neighbours differ by 1e-6 or more, and noise shares by rounding at 1e-16.
      expect("timestep", found.timestep, is: Double(t), within: 1e-9)
      expect("ᾱ", found.alphaBar, is: level.alphaBar, within: 1e-15)
    }
    for (t, (a, b)) in zip(levels, levels.dropFirst()).enumerated() {
      let tau = 0.25 * a.noiseShare + 0.75 * b.noiseShare
      let between = schedule.level(noiseShare: tau)
      expect("between", between.timestep, is: Double(t) + 0.75, within: 1e-9)
      expect("τ", between.noiseShare, is: tau, within: 1e-13)
    }
    #expect(schedule.level(noiseShare: 0) == Level(timestep: 0, alphaBar: 1))
    #expect(schedule.level(noiseShare: 1) == Level(timestep: Double(T - 1), alphaBar: 0))
  }

  @Test(
    "The level of a time is the inverse of that of a noise share", arguments: ScheduleKind.allCases)
  func times(kind: ScheduleKind) throws {
    let schedule = try NoiseSchedule(kind, steps: 30)
    for timestep in [0, 0.25, 7, 7.5, 28.999, 29] {
      let level = schedule.level(timestep: timestep)
      #expect(level.timestep == timestep)
      let found = schedule.level(noiseShare: level.noiseShare)
      expect("timestep", found.timestep, is: timestep, within: 1e-9)
      expect("ᾱ", found.alphaBar, is: level.alphaBar, within: 1e-12)
    }
    #expect(schedule.level(timestep: 7) == schedule.level(7))
    #expect(schedule.level(timestep: -1) == schedule.level(0))
    #expect(schedule.level(timestep: 99) == schedule.level(29))
  }

  @Test("-dSNR/dt is the slope of the SNR between timesteps", arguments: ScheduleKind.allCases)
  func decline(kind: ScheduleKind) throws {
    let schedule = try NoiseSchedule(kind, steps: 30)
    for time in [0.3, 0.5, 7.5, 20.25, 28.9] {
      func snr(_ t: Double) -> Double { schedule.level(timestep: t).snr }
      let slope = (snr(time - 1e-5) - snr(time + 1e-5)) / 2e-5
      let found = schedule.snrDecline(timestep: time)
      expect("\(time)", found, is: slope, within: 1e-6 * slope + 1e-9)
    }
    let right = schedule.snrDecline(timestep: 7 + 1e-9)
    expect("at 7", schedule.snrDecline(timestep: 7), is: right, within: 1e-6 * right)
    #expect(schedule.snrDecline(timestep: 29) == 0 && schedule.snrDecline(timestep: 99) == 0)
    #expect(try NoiseSchedule(kind, steps: 1).snrDecline(timestep: 0) == 0)
  }
}
