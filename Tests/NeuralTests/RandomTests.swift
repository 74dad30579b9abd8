import Testing

@testable import Neural

@Suite struct RandomTests {
  /// The known answers that come with Random123 (kat_vectors, `philox4x32 10`).
  @Test("Philox 4×32-10 gives its published answers")
  func knownAnswers() {
    #expect(
      Philox.words(counter: (0, 0, 0, 0), key: (0, 0))
        == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = UInt32.max
    #expect(
      Philox.words(counter: (ones, ones, ones, ones), key: (ones, ones))
        == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      Philox.words(
        counter: (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
        key: (0xa409_3822, 0x299f_31d0)) == (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test("Normal draws have the moments of N(0, 1), within four standard errors")
  func moments() {
    let x = normal(1000, 1003, seed: 9).elements.map(Double.init)
    let n = Double(x.count)
    // Standard errors of the mean of x, x², x³, x⁴: √(1, 2, 15, 96)/√n.
    for (power, expected, deviation) in [(1, 0.0, 1.0), (2, 1, 2), (3, 0, 15), (4, 3, 96)] {
      let moment = x.reduce(0) { sum, x in sum + (0..<power).reduce(1) { p, _ in p * x } } / n
      let error = 4 * (deviation / n).squareRoot()
      #expect(abs(moment - expected) < error, "moment \(power): \(moment), not \(expected)")
    }
    // Neighbours in a row, and rows, are uncorrelated.
    for lag in [1, 251, 502, 1003] {
      let product = zip(x, x.dropFirst(lag)).reduce(0) { $0 + $1.0 * $1.1 } / n
      #expect(abs(product) < 4 / n.squareRoot(), "lag \(lag)")
    }
  }

  @Test("Uniform draws lie in [0, 1) with mean 1/2 and variance 1/12")
  func uniform() {
    let x = RandomStream(seed: 3, purpose: .latent).uniform(rows: 0..<100, columns: 1000)
    let mean = x.elements.sum / 1e5
    #expect(x.elements.allSatisfy { (0..<1).contains($0) })
    #expect(abs(mean - 0.5) < 4 * (1.0 / 12 / 1e5).squareRoot())
    #expect(abs(x.squaredNorm / 1e5 - 1.0 / 3) < 4 * (4.0 / 45 / 1e5).squareRoot())
  }

  @Test("A row's numbers depend on its address only")
  func addresses() {
    let stream = RandomStream(seed: 5, purpose: .latent, step: 3)
    let whole = stream.normal(rows: 0..<10, columns: 37)
    #expect(stream.normal(rows: [9, 6, 6], columns: 37) == whole.rows(at: [9, 6, 6]))
    for other in [
      RandomStream(seed: 6, purpose: .latent, step: 3),
      RandomStream(seed: 5, purpose: .start, step: 3),
      RandomStream(seed: 5, purpose: .latent, step: 4),
      RandomStream(seed: 5 + 1 << 32, purpose: .latent, step: 3),
    ] {
      let changed = other.normal(rows: 0..<10, columns: 37)
      #expect(zip(changed.elements, whole.elements).filter { $0 == $1 }.count < 3)
    }
  }

  @Test("Integers are spread evenly over their range, whatever the order of the addresses")
  func integers() {
    let stream = RandomStream(seed: 5, purpose: .timestep, step: 3)
    let draws = stream.integers(rows: 0..<100_000, below: 7)
    #expect(stream.integers(rows: [5, 3], below: 7) == [draws[5], draws[3]])
    let (mean, deviation) = (1e5 / 7, (1e5 * 6 / 49).squareRoot())
    for value in 0..<7 {
      let count = Double(draws.count { $0 == value })
      #expect(abs(count - mean) < 4 * deviation, "\(value)")
    }
    #expect(draws.allSatisfy { (0..<7).contains($0) })
  }

  @Test("A shuffle is a permutation, fixed by its address")
  func shuffle() {
    func order(_ step: Int) -> [Int] {
      var random = SequentialRandom(RandomStream(seed: 1, purpose: .shuffle, step: step))
      return Array(0..<100).shuffled(using: &random)
    }
    #expect(order(0).sorted() == Array(0..<100))
    #expect(order(0) == order(0))
    #expect(order(0) != order(1))
  }
}
