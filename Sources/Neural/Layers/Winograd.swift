/// 3×3 convolution at stride 1 by Winograd's F(4×4, 3×3) (Lavin & Gray 2016, arXiv 1509.09308): 36
/// products of tiles of the map with the transformed kernel, where its definition multiplies four
/// times as often.
struct Winograd: Sendable {
  let inputs, outputs: WinogradTiles

  /// Numbers of channels that it can work with.
  static func takes(_ channels: Int...) -> Bool {
    channels.allSatisfy { $0.isMultiple(of: WinogradTiles.together) }
  }

  init(_ inputs: Int, _ outputs: Int, on map: MapShape) {
    self.inputs = WinogradTiles(map: map, channels: inputs)
    self.outputs = WinogradTiles(map: map, channels: outputs)
  }

  /// Numbers of both matrices of tiles that are worked on at a time: 1¼ MiB, to stay in a core's
  /// cache from the transform through the product to the other one.
  private static let blockSize = 5 << 16

  /// Blocks of lines of tiles, counted through all maps.
  func blocks(batch: Int) -> [Range<Int>] {
    let lines = batch * inputs.down
    let perLine = 36 * inputs.across * (inputs.channels + outputs.channels)
    return (0..<lines).parts(of: max(1, Self.blockSize / perLine))
  }

  /// - Parameters:
  ///   - x: `[batch·height·width, inputs]`
  ///   - u: the transformed kernels, inputs first.
  ///   - residual: what is added, `[batch·height·width, outputs]`.
  func forward(_ x: Matrix, _ u: Matrix, _ bias: Matrix, plus residual: Matrix?) -> Matrix {
    var y = Matrix(unset: x.rows, outputs.channels)
    var (v, m) = (Matrix(0, 0), Matrix(0, 0))
    for lines in blocks(batch: inputs.map.batch(of: x)) {
      let tiles = lines.count * inputs.across
      v.resize(36 * tiles, inputs.channels)
      inputs.gather(x.elements, lines, into: &v.elements)
      if m.rows != 36 * tiles { m = Matrix(36 * tiles, outputs.channels) }
      m.add(products: 36, v, u)
      outputs.assemble(
        clearing: &m.elements, plus: bias.elements, residual?.elements, lines, into: &y.elements)
    }
    return y
  }

  /// Adds the derivative of the loss by the weight to `dWeight`.
  ///
  /// - Parameter u: the transformed kernels, outputs first.
  /// - Returns: the derivative by `x`.
  func backward(_ dy: Matrix, _ x: Matrix, _ u: Matrix, _ dWeight: inout Matrix) -> Matrix {
    // Set line by line, in the order of the blocks.
    var dx = Matrix(unset: x.rows, x.columns)
    var dU = Matrix(36 * outputs.channels, inputs.channels)
    var (v, dM) = (Matrix(0, 0), Matrix(0, 0))
    for lines in blocks(batch: inputs.map.batch(of: x)) {
      let tiles = lines.count * inputs.across
      v.resize(36 * tiles, inputs.channels)
      dM.resize(36 * tiles, outputs.channels)
      inputs.gather(x.elements, lines, into: &v.elements)
      outputs.spread(dy.elements, lines, into: &dM.elements)
      dU.add(products: 36, dM.transposed, v)  // dU += dMᵀ V
      v.replace(byProducts: 36, dM, u)  // dV = dM U
      inputs.scatter(v.elements, lines, into: &dx.elements)
    }
    addKernelDerivative(dU, to: &dWeight)
    return dx
  }
}
