import Diffusion
import Testing

@Suite("Times in continuous time")
struct TimestepSamplingTests {
  @Test("A batch's times are a grid, shifted and wrapped; a slice has its rows' part")
  func grid() {
    let times = TimestepSampling.spread(0..<4, of: 4, shift: 0.6, steps: 101)
    expect("t", times, is: [60, 85, 10, 35], within: 1e-12)
    let part = TimestepSampling.spread(2..<4, of: 4, shift: 0.6, steps: 101)
    #expect(part == Array(times[2...]))
  }

  @Test("Every row's time is uniform; the mean of t² varies as a grid's does, not as draws' do")
  func moments() {
    let (shifts, batch) = (1000, 32)
    var rows = [Double](repeating: 0, count: batch)
    for i in 0..<shifts {
      let shift = (Double(i) + 0.5) / Double(shifts)
      let times = TimestepSampling.spread(0..<batch, of: batch, shift: shift, steps: 2)
      #expect(times.allSatisfy { (0..<1).contains($0) })
      for (row, t) in times.enumerated() { rows[row] += t * t / Double(shifts) }
      // The mean of a grid of step h is off by h/2 at most; independent ones' deviation is 0.053.
      let mean = times.reduce(0) { $0 + $1 * $1 } / Double(batch)
      expect("E t²", mean, is: 1.0 / 3, within: 0.5 / Double(batch) + 1e-3)
    }
    for (row, mean) in rows.enumerated() {
      expect("E t² of row \(row)", mean, is: 1.0 / 3, within: 1e-3)
    }
  }
}
