import Diffusion
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
