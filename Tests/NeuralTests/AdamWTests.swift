import Testing

@testable import Neural

@Suite struct AdamWTests {
  /// Made with PyTorch 2.13.0:
  ///
  ///     p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
  ///     average = p.detach().clone()
  ///     optimizer = torch.optim.AdamW([p], lr=0.1, weight_decay=0.1)
  ///     for step in range(6):
  ///         p.grad = (torch.tensor([1.0, 0.25, -2.0]) * (step - 2.5)
  ///                   + torch.tensor([0.0, 0.5, 1.0]))
  ///         norm = torch.nn.utils.clip_grad_norm_([p], 3.0)
  ///         optimizer.step()
  ///         average.lerp_(p.detach(), 1 - min(0.9, (1 + step) / (10 + step)))
  ///         print(norm.item(), p.tolist(), average.tolist())
  static let expected: [(norm: Double, value: [Float], average: [Float])] = [
    (6.501201629638672, [1.09000003, -1.88, 0.395000011], [1.08099997, -1.89199996, 0.405500025]),
    (
      4.273830413818359, [1.17875826, -1.88659525, 0.291015923],
      [1.16098404, -1.88757789, 0.311831206]
    ),
    (
      2.095381736755371, [1.25982392, -1.93453753, 0.190239698],
      [1.23511398, -1.92279768, 0.220637575]
    ),
    (
      0.8003905415534973, [1.30300558, -1.99345052, 0.108171366],
      [1.28211582, -1.97171116, 0.142776355]
    ),
    (
      2.648702621459961, [1.28948367, -2.05783844, 0.0678813905],
      [1.28685224, -2.02707863, 0.0946295932]
    ),
    (
      4.8492913246154785, [1.24688268, -2.12648821, 0.0608625822],
      [1.26287055, -2.08672428, 0.0743693858]
    ),
  ]

  struct Point: Parameterized {
    var p: Parameter
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows { try body("p", &p) }
  }

  @Test("AdamW, clipping and averaging give PyTorch's numbers, the gradient coming in two lanes")
  func pyTorch() throws {
    var source = ParameterSource(seed: 0)
    var point = Point(p: source.constant(1, 3))
    point.p.value.elements = [1, -2, 0.5]
    point.p.average = point.p.value
    var adamW = AdamW()
    (adamW.weightDecay, adamW.maximumNorm, adamW.averageDecay) = (0.1, 3, 0.9)
    for (step, expected) in Self.expected.enumerated() {
      let (first, second) = (Float(step) - 2.5, Matrix(1, 3, [0, 0.5, 1]))
      var lanes = [Gradients(of: point), Gradients(of: point)]
      lanes[0][point.p].sum.add(first, Matrix(1, 3, [1, 0.25, -2]))
      lanes[1][point.p].add(second)
      let norm = try adamW.update(&point, lanes: lanes, step: step, rate: 0.1, threads: 2)
      #expect(abs(norm - expected.norm) < 2e-6 * expected.norm, "step \(step)")
      for (found, expected) in [
        (point.p.value, expected.value), (point.p.average, expected.average),
      ] {
        // Six steps' rounding at values up to 2.
        #expect(distance(found, Matrix(1, 3, expected)) < 2e-6, "step \(step): \(found.elements)")
      }
    }
  }

  @Test("Updates give the same bits on 1 to 4 threads")
  func threads() throws {
    var source = ParameterSource(seed: 1)
    let network = MLP([20, 33, 41, 7], &source)
    func trained(threads: Int) throws -> MLP {
      var network = network
      for step in 0..<4 {
        let lanes = try concurrently(3, threads: threads) { [network] lane in
          var gradients = Gradients(of: network)
          let (y, residuals) = network.forward(normal(5, 20, seed: UInt64(step * 3 + lane)))
          network.backwardFromData(y, residuals, &gradients)
          return gradients
        }
        _ = try AdamW().update(&network, lanes: lanes, step: step, rate: 0.01, threads: threads)
      }
      return network
    }
    let once = try trained(threads: 1)
    for threads in 2...4 {
      let again = try trained(threads: threads)
      zip(parameters(once), parameters(again)).forEach { #expect($0 == $1) }
    }
    zip(parameters(once), parameters(network)).forEach { #expect($0 != $1) }
  }

  @Test("A gradient that is not finite changes no weight")
  func notFinite() throws {
    var source = ParameterSource(seed: 1)
    var layer = Linear(3, 2, &source)
    let before = parameters(layer)
    var gradients = Gradients(of: layer)
    gradients[layer.weight].sum.elements[1] = .nan
    #expect(try !AdamW().update(&layer, lanes: [gradients], step: 0, rate: 1, threads: 1).isFinite)
    #expect(parameters(layer) == before)
  }

  @Test("A gradient is the sum of all lanes' matrices and products, whatever was computed at once")
  func sum() {
    var source = ParameterSource(seed: 1)
    let point = Point(p: source.constant(6, 5))
    #expect(Gradients(of: point)[point.p].value == Matrix(6, 5))
    let addend = normal(6, 5, seed: 1)
    var expected = Matrix(6, 5)
    var lanes: [Gradient] = []
    // Factors that are smaller than the product, and larger ones.
    for (lane, rows) in [[1, 9], [], [9, 2, 1], [2]].enumerated() {
      var gradients = Gradients(of: point)
      for rows in rows {
        let (a, b) = (normal(rows, 6, seed: UInt64(lane)), normal(rows, 5, seed: UInt64(9 + rows)))
        gradients[point.p].add(product: a.transposed, b)
        expected.add(product: a.transposed, b)
      }
      if lane == 2 {
        gradients[point.p].add(addend)
        expected.add(addend)
      }
      lanes.append(gradients[point.p])
    }
    #expect(distance(Gradient.value(of: lanes), expected) < 1e-5)
  }

  /// All arrays of each parameter.
  private func parameters(_ network: some Parameterized) -> [[Matrix]] {
    var all: [[Matrix]] = []
    network.forEachParameter { _, parameter in
      var copy = parameter
      var arrays: [Matrix] = []
      copy.visitArrays { arrays.append($1) }
      all.append(arrays)
    }
    return all
  }
}

@Suite struct ConcurrencyTests {
  @Test("A range is cut into parts of one size and what is left")
  func parts() {
    #expect((3..<10).parts(of: 3) == [3..<6, 6..<9, 9..<10])
    #expect((3..<9).parts(of: 3) == [3..<6, 6..<9])
    #expect((3..<10).parts(of: .max) == [3..<10])
    #expect((Int.max - 3..<Int.max).parts(of: 2).map(\.count) == [2, 1])
    #expect((5..<5).parts(of: 4).isEmpty)
  }

  @Test("Results come in order, errors from the lowest index", arguments: 1...4)
  func order(threads: Int) throws {
    struct Failure: Error, Equatable { let index: Int }
    #expect(try concurrently(10, threads: threads) { $0 * $0 } == (0..<10).map { $0 * $0 })
    #expect(try concurrently(0, threads: threads) { $0 }.isEmpty)
    #expect(throws: Failure(index: 3)) {
      try concurrently(10, threads: threads) { if $0 >= 3 { throw Failure(index: $0) } }
    }
  }
}
