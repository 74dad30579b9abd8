import Diffusion
import Foundation
import Testing

@Suite("Spacing")
struct SpacingTests {
  @Test(
    "every count gives that many distinct timesteps from T-1 down to 0",
    arguments: Spacing.allCases, [1, 2, 3, 4, 7, 50, 101, 256])
  func everyCount(spacing: Spacing, T: Int) throws {
    let schedule = try NoiseSchedule(.linear, steps: T)
    for N in 1...T { try isComplete(schedule, N, spacing) }
  }

  @Test("the same at T = 1000 and 100000", arguments: Spacing.allCases, [1000, 100_000])
  func someCounts(spacing: Spacing, T: Int) throws {
    let schedule = try NoiseSchedule(.cosine, steps: T)
    for N in [1, 2, 3, 10, 499, 500, 501, 999, 1000, T - 1, T] {
      try isComplete(schedule, N, spacing)
    }
  }

  func isComplete(_ schedule: NoiseSchedule, _ N: Int, _ spacing: Spacing) throws {
    let (T, found) = (schedule.steps, try schedule.timesteps(count: N, spacing: spacing))
    #expect(found.count == N, "T = \(T)")
    #expect(found.first == T - 1, "T = \(T), N = \(N)")
    if N > 1 { #expect(found.last == 0, "T = \(T), N = \(N)") }
    #expect(!zip(found, found.dropFirst()).contains { $0 <= $1 }, "T = \(T), N = \(N): \(found)")
  }

  @Test(
    "from a lesser timestep uniform and quadratic are those of a schedule that ends there, edm whole",
    arguments: [Spacing.uniform, .quadratic], [0, 1, 6, 40, 99])
  func fromLesser(spacing: Spacing, first: Int) throws {
    let schedule = try NoiseSchedule(.linear, steps: 100)
    let ending = try NoiseSchedule(.linear, steps: first + 1)
    for N in 1...first + 1 {
      let edm = try schedule.timesteps(count: N, spacing: .edm, from: first)
      #expect(edm.count == N && edm[0] == first && (N == 1 || edm[N - 1] == 0))
      #expect(zip(edm, edm.dropFirst()).allSatisfy { $0 > $1 })
      let found = try schedule.timesteps(count: N, spacing: spacing, from: first)
      #expect(try found == ending.timesteps(count: N, spacing: spacing))
    }
    #expect(throws: DiffusionError.self) {
      try schedule.timesteps(count: first + 2, spacing: spacing, from: first)
    }
    for outside in [-1, 100] {
      #expect(throws: DiffusionError.self) { try schedule.timesteps(count: 1, from: outside) }
    }
  }

  @Test("uniform: linspace(0, 999, N), rounded with halves to even")
  func uniform() throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    #expect(
      try schedule.timesteps(count: 10)
        == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0])
    // 999/24 = 41.625, with 166.5, 499.5 and 832.5 halfway:
    //   python -c "import numpy; print(*numpy.linspace(0, 999, 25).round().astype(int)[::-1])"
    #expect(
      try schedule.timesteps(count: 25) == [
        999, 957, 916, 874, 832, 791, 749, 708, 666, 624, 583, 541, 500, 458, 416, 375, 333, 291,
        250, 208, 166, 125, 83, 42, 0,
      ])
    for N in [2, 5, 50, 100, 777] {
      let expected = (0..<N).reversed().map {
        Int((999 * Double($0) / Double(N - 1)).rounded(.toNearestOrEven))
      }
      #expect(try schedule.timesteps(count: N, spacing: .uniform) == expected)
    }
  }

  @Test("quadratic: (T-1)(i/(N-1))² where neighbours stay apart, pushed up where they do not")
  func quadratic() throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    // 999 (i/9)² = 0, 12.3, 49.3, 111, 197.3, 308.3, 444, 604.3, 789.3, 999
    #expect(
      try schedule.timesteps(count: 10, spacing: .quadratic)
        == [999, 789, 604, 444, 308, 197, 111, 49, 12, 0])
    // 9 (i/7)² = 0, 0.18, 0.73, 1.65, 2.94, 4.59, 6.61, 9, which round to 0, 0, 1, 2, 3, 5, 7, 9
    let short = try NoiseSchedule(.linear, steps: 10)
    #expect(
      try short.timesteps(count: 8, spacing: .quadratic) == [9, 7, 5, 4, 3, 2, 1, 0])
  }

  /// Karras et al. 2022, eq. 5 with ρ = 7.
  func sigma(_ i: Int, of N: Int, from highest: Double, to lowest: Double) -> Double {
    let (first, last) = (pow(highest, 1.0 / 7), pow(lowest, 1.0 / 7))
    return pow(first + Double(i) / Double(N - 1) * (last - first), 7)
  }

  func ratio(_ level: Level) -> Double { level.sigma / level.alpha }

  @Test(
    "edm: the timestep nearest to each (σ_max^(1/7) + i/(N-1) (σ_min^(1/7) - σ_max^(1/7)))^7",
    arguments: ScheduleKind.allCases, [2, 5, 10, 18])
  func edm(kind: ScheduleKind, N: Int) throws {
    let schedule = try NoiseSchedule(kind, steps: 1000)
    let highest = min(ratio(schedule.level(999)), 80)
    let found = try schedule.timesteps(count: N, spacing: .edm)
    #expect(found[0] == 999)
    // By brute force.
    let shares = (0..<1000).map { schedule.level($0).noiseShare }
    let places = (1..<N).map { i in
      let sigma = sigma(i, of: N, from: highest, to: ratio(schedule.level(0)))
      let distances = shares.map { abs($0 - sigma / (1 + sigma)) }
      return distances.indices.min { distances[$0] < distances[$1] } ?? 0
    }
    if Set(places).count == places.count {
      #expect(Array(found.dropFirst()) == places)
    } else {
      #expect(N > 10, "\(kind): neighbours round to one timestep: \(places)")
    }
  }

  @Test("edm: along ve's ladder in 1000 steps, σ is eq. 5 to half a step of it")
  func edmOfVE() throws {
    let schedule = try NoiseSchedule(.varianceExploding, steps: 1000)
    let levels = try schedule.levels(count: 10, spacing: .edm)
    for (i, level) in levels.dropLast().enumerated() {
      let expected = sigma(i, of: 10, from: 50, to: 0.01)
      expect("ln σ[\(i)]", log(ratio(level)), is: log(expected), within: log(5000) / 1998)
    }
  }

  @Test("edm: pure noise first, then as if the schedule ended at σ/α = 80")
  func edmFromPureNoise() throws {
    let schedule = try NoiseSchedule(.cosine, steps: 1000, zeroTerminalSNR: true)
    let levels = try schedule.levels(count: 10, spacing: .edm)
    #expect(levels[0].alphaBar == 0)
    let expected = sigma(1, of: 10, from: 80, to: ratio(levels[9]))
    expect("τ", levels[1].noiseShare, is: expected / (1 + expected), within: 1e-3)
  }

  @Test("levels follow the timesteps and end clean")
  func levels() throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    #expect(
      try schedule.levels(count: 3)
        == [schedule.level(999), schedule.level(500), schedule.level(0), .clean])
  }

  @Test("a count outside 1...T is refused", arguments: Spacing.allCases, [-1, 0, 11])
  func refuses(spacing: Spacing, N: Int) throws {
    let schedule = try NoiseSchedule(.linear, steps: 10)
    let error = #expect(throws: DiffusionError.self) {
      try schedule.timesteps(count: N, spacing: spacing)
    }
    #expect(error?.description == "the number of sampling steps must lie in 1...10, not \(N).")
  }
}
