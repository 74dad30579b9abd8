import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct CorruptionTests {
  private let shape = ImageShape(height: 20, width: 30, channels: 2)

  private func corruption(_ kind: Corruption.Kind, _ level: Int) throws -> Corruption {
    try #require(Corruption("\(kind.rawValue):\(level)"))
  }

  /// 8 images of numbers in [0, 1).
  private var images: Matrix {
    RandomStream(seed: 1, purpose: .component).uniform(rows: Array(0..<8), columns: shape.count)
  }

  @Test("Names and levels are read, and nothing else")
  func names() throws {
    for kind in Corruption.Kind.allCases {
      for level in 1...5 {
        #expect(try corruption(kind, level).description == "\(kind.rawValue):\(level)")
      }
    }
    for text in ["", "noise", "noise:", "noise:0", "noise:6", "blur:x", "fog:1", "noise:1:2", ":1"]
    {
      #expect(Corruption(text) == nil, "\(text)")
    }
  }

  @Test(
    "An image's damage is its number's and the seed's, and stays in [0, 1]",
    arguments: Corruption.Kind.allCases)
  func numbers(kind: Corruption.Kind) throws {
    let damage = try corruption(kind, 3)
    let all = damage(images, shape, numbers: Array(0..<8), seed: 5)
    let some = damage(images.rows(2..<5), shape, numbers: [2, 3, 4], seed: 5)
    #expect(some == all.rows(2..<5))
    #expect(all != images && all.elements.allSatisfy { (0...1).contains($0) })
    let isRandom = [.noise, .saltAndPepper, .occlude].contains(kind)
    #expect((damage(images, shape, numbers: Array(0..<8), seed: 6) == all) == !isRandom)
  }

  @Test("Noise has the deviation that is said of it", arguments: [(1, 0.08), (5, 0.38)])
  func noise(level: Int, deviation: Double) throws {
    let grey = Matrix(8, shape.count, fill: 0.5)
    let noisy = try corruption(.noise, level)(grey, shape, numbers: Array(0..<8), seed: 2)
    // What is cut off at 0 and 1 is counted out: the share within one deviation, or 0.3.
    let width = min(deviation, 0.3)
    let inside = Double(noisy.elements.count { abs(Double($0) - 0.5) < width })
    let expected = erf(width / deviation / 2.0.squareRoot())
    let n = Double(noisy.elements.count)
    #expect(abs(inside / n - expected) < 4 * (expected * (1 - expected) / n).squareRoot())
  }

  @Test("Salt and pepper, as much of either", arguments: [(1, 0.03), (5, 0.27)])
  func saltAndPepper(level: Int, share: Double) throws {
    let grey = Matrix(8, shape.count, fill: 0.5)
    let found = try corruption(.saltAndPepper, level)(grey, shape, numbers: Array(0..<8), seed: 2)
    let n = Double(found.elements.count)
    for value in [Float(0), 1] {
      let count = Double(found.elements.count { $0 == value })
      #expect(abs(count / n - share / 2) < 4 * (share / 2 / n).squareRoot())
    }
    #expect(found.elements.allSatisfy { [0, 0.5, 1].contains($0) })
  }

  @Test("A blurred point is a Gaussian of its channel; what is even stays so")
  func blur() throws {
    var point = Matrix(1, shape.count)
    point[0, (10 * 30 + 12) * 2 + 1] = 1
    let blurred = try corruption(.blur, 2)(point, shape, numbers: [0], seed: 0)
    func value(_ y: Int, _ x: Int, _ channel: Int) -> Double {
      Double(blurred[0, (y * 30 + x) * 2 + channel])
    }
    // Deviation 1: e^(-r²/2) of the middle, in every direction.
    for (dy, dx) in [(0, 1), (1, 0), (2, -1), (-3, 2)] {
      let expected = exp(-Double(dy * dy + dx * dx) / 2)
      #expect(abs(value(10 + dy, 12 + dx, 1) / value(10, 12, 1) - expected) < 1e-5)
    }
    #expect(abs(blurred.elements.reduce(0, +) - 1) < 1e-5 && value(10, 12, 0) == 0)
    let even = Matrix(1, shape.count, fill: 0.25)
    let same = try corruption(.blur, 5)(even, shape, numbers: [0], seed: 0)
    #expect(same.elements.allSatisfy { abs($0 - 0.25) < 1e-6 })
  }

  @Test("Squares become their means, those cut off at the edge too")
  func pixelate() throws {
    let shape = ImageShape(height: 3, width: 4, channels: 1)
    let image = Matrix(1, 12, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map { $0 / 12 })
    let found = try corruption(.pixelate, 1)(image, shape, numbers: [0], seed: 0)
    let expected: [Float] = [2.5, 2.5, 4.5, 4.5, 2.5, 2.5, 4.5, 4.5, 8.5, 8.5, 10.5, 10.5]
    for (a, b) in zip(found.elements, expected) { #expect(abs(a - b / 12) < 1e-6) }
  }

  @Test("A rectangle is black, as large as is said, and anywhere", arguments: 1...5)
  func occlude(level: Int) throws {
    let white = Matrix(200, shape.count, fill: 1)
    let found = try corruption(.occlude, level)(white, shape, numbers: Array(0..<200), seed: 3)
    let side = (0.1 * Double(level)).squareRoot()
    let size = Int((20 * side).rounded()) * Int((30 * side).rounded()) * 2
    var seen = Set<Int>()
    for row in 0..<200 {
      let black = (0..<shape.count).filter { found[row, $0] == 0 }
      #expect(black.count == size)
      seen.formUnion(black)
    }
    // Up to every edge.
    let (ys, xs) = (Set(seen.map { $0 / 60 }), Set(seen.map { $0 / 2 % 30 }))
    #expect(ys == Set(0..<20) && xs == Set(0..<30))
  }

  @Test("What is refined is refined of the damaged image, and shown so")
  func generation() throws {
    let model = try shakenModel()
    let damage = try corruption(.saltAndPepper, 5)
    let plain = try generator(model)
    let damaged = try generator(model) { $0.corruption = damage }
    #expect(
      try damaged.reconstructions(0..<3)
        == damage(
          plain.reconstructions(0..<3), model.shape, numbers: [0, 1, 2], seed: 0))
    #expect(try distance(damaged.images(0..<3), plain.images(0..<3)) > 0.01)
    let bare = try shakenModel("diffusion.formulation=none", "diffusion.condition=false")
    #expect(problem { try generator(bare) { $0.corruption = damage } }.contains("has no VAE"))
  }
}
