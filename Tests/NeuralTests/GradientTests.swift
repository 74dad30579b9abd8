import Testing

@testable import Neural

@Suite struct GradientTests {
  private func sources() -> (Linear, Gradients) {
    var source = ParameterSource(seed: 1)
    let layer = Linear(9, 7, &source)
    return (layer, Gradients(of: layer))
  }

  @Test("Products add up, however many of them wait, and what waits stays less than the matrix")
  func products() {
    var (layer, gradients) = sources()
    var expected = Matrix(7, 9)
    for number in 0..<25 {
      let (dy, x) = (normal(1 + number % 3, 7, seed: 1), normal(1 + number % 3, 9, seed: 2))
      gradients[layer.weight].add(product: dy.transposed, x)
      expected.add(product: dy.transposed, x)
      #expect(gradients[layer.weight].waiting < 7 * 9)
      #expect(distance(gradients[layer.weight].value, expected) < 1e-4)
    }
  }

  @Test("Lanes add up, whichever of them have matrices, products, both, or nothing")
  func lanes() {
    let (layer, none) = sources()
    let (dy, x, known) = (normal(2, 7, seed: 1), normal(2, 9, seed: 2), normal(7, 9, seed: 3))
    func lane(_ hasMatrix: Bool, _ hasProduct: Bool) -> Gradient {
      var gradients = none
      if hasMatrix { gradients[layer.weight].add(known) }
      if hasProduct { gradients[layer.weight].add(product: dy.transposed, x) }
      return gradients[layer.weight]
    }
    for cases in 0..<64 {
      func bit(_ n: Int) -> Bool { cases >> n & 1 == 1 }
      let lanes = (0..<3).map { lane(bit(2 * $0), bit(2 * $0 + 1)) }
      var expected = Matrix(7, 9)
      for n in 0..<3 {
        if bit(2 * n) { expected.add(known) }
        if bit(2 * n + 1) { expected.add(product: dy.transposed, x) }
      }
      #expect(distance(Gradient.value(of: lanes), expected) < 1e-5)
    }
    #expect(Gradient.value(of: []) == Matrix(0, 0))
  }
}
