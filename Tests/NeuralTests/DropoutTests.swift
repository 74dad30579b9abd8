import Testing

@testable import Neural

@Suite struct DropoutTests {
  private func dropping(_ rate: Double, rows: Range<Int>, step: Int = 3) -> Dropout? {
    Dropout(rate: rate, RandomStream(seed: 5, purpose: .dropout, step: step), rows: rows)
  }

  private func mask(_ dropout: Dropout?, _ rows: Int, _ columns: Int) -> Matrix {
    var ones = Matrix(rows, columns, fill: 1)
    dropout?.apply(to: &ones)
    return ones
  }

  @Test("Numbers are dropped at the rate, others divided by 1 - rate", arguments: [0.1, 0.5, 0.9])
  func rate(rate: Double) throws {
    let dropout = try #require(dropping(rate, rows: 0..<100))
    let x = mask(dropout, 100, 999).elements
    let kept = x.filter { $0 != 0 }
    #expect(kept.allSatisfy { $0 == Float(1 / (1 - rate)) })
    // Four standard errors of a binomial share; the mean is that over 1 - rate, so stays 1.
    let error = 4 * (rate * (1 - rate) / Double(x.count)).squareRoot()
    let share = Double(kept.count) / Double(x.count)
    let mean = x.sum / Double(x.count)
    #expect(abs(share - (1 - rate)) < error)
    #expect(abs(mean - 1) < error / (1 - rate))
  }

  @Test("A rate of 0 is no dropout")
  func none() { #expect(dropping(0, rows: 0..<3) == nil) }

  @Test("An example's mask depends on its address, its layer and the step, not on its slice")
  func addresses() throws {
    let whole = try #require(dropping(0.5, rows: 0..<9))
    let x = mask(whole, 9, 400)
    #expect(mask(whole, 9, 400) == x)
    #expect(mask(dropping(0.5, rows: 4..<7), 3, 400) == x.rows(4..<7))
    // As maps of 8 channels, too.
    #expect(mask(whole, 9 * 50, 8).elements == x.elements)
    // Masks of another address agree in half of their places: four standard errors.
    func isIndependent(_ other: Matrix) -> Bool {
      let equal = zip(x.elements, other.elements).count { $0 == $1 }
      return abs(Double(equal) - 1800) < 4 * (3600.0 / 4).squareRoot()
    }
    let others = (0..<3).map { mask(whole.layer($0, of: 3), 9, 400) }
    // Row 0 of layer 0 keeps its address.
    for other in [others[1], others[2], mask(dropping(0.5, rows: 0..<9, step: 4), 9, 400)] {
      #expect(isIndependent(other))
    }
    let rows = others.flatMap { other in (0..<9).map { other.rows($0..<$0 + 1).elements } }
    #expect(Set(rows).count == 27)
  }
}
