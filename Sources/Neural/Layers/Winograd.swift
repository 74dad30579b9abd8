/// 3×3 convolution at stride 1 by Winograd's F(2×2, 3×3) (Lavin & Gray 2016, arXiv 1509.09308): 16
/// products of tiles of the map with the transformed kernel, 2.25 times fewer operations than the
/// definition and, with its smaller numbers of terms, no less exact.
struct Winograd: Sendable {
  let inputs, outputs: WinogradTiles

  /// Numbers of channels that it can work with.
  static func takes(_ channels: Int...) -> Bool {
    channels.allSatisfy { $0.isMultiple(of: WinogradTiles.lanes) }
  }

  init(_ inputs: Int, _ outputs: Int, on map: MapShape) {
    self.inputs = WinogradTiles(map: map, channels: inputs)
    self.outputs = WinogradTiles(map: map, channels: outputs)
  }

  /// Numbers of tiles that are transformed at a time: 512 KiB, to stay in a core's cache until the
  /// product; and few enough for OpenBLAS's kernels of small products, which pack nothing.
  private static let blockSize = 1 << 17

  /// Blocks of lines of tiles, counted through all maps.
  func blocks(batch: Int) -> [Range<Int>] {
    let lines = batch * inputs.down
    let channels = max(inputs.channels, outputs.channels)
    let block = max(1, Self.blockSize / (16 * inputs.across * channels))
    return stride(from: 0, to: lines, by: block).map { $0..<min($0 + block, lines) }
  }

  /// - Parameters:
  ///   - x: `[batch·height·width, inputs]`
  ///   - weight: `[outputs, 9·inputs]`, columns ordered (ky, kx, input).
  func forward(_ x: Matrix, _ weight: Matrix, _ bias: Matrix) -> Matrix {
    var y = Matrix(unset: x.rows, outputs.channels)
    let u = kernels(weight, inputsFirst: true)
    var (v, m) = (Matrix(0, 0), Matrix(0, 0))
    for lines in blocks(batch: inputs.map.batch(of: x)) {
      v.resize(16 * lines.count * inputs.across, inputs.channels)
      inputs.gather(x.elements, lines, into: &v.elements)
      m.replace(byProducts: 16, v, u)
      outputs.assemble(m.elements, plus: bias.elements, lines, into: &y.elements)
    }
    return y
  }

  /// Adds the derivative of the loss by the weight to `dWeight`.
  ///
  /// - Returns: the derivative by `x`.
  func backward(_ dy: Matrix, _ x: Matrix, _ weight: Matrix, _ dWeight: inout Matrix) -> Matrix {
    var dx = Matrix(x.rows, x.columns)
    let u = kernels(weight, inputsFirst: false)
    var dU = Matrix(16 * outputs.channels, inputs.channels)
    var (v, dM) = (Matrix(0, 0), Matrix(0, 0))
    for lines in blocks(batch: inputs.map.batch(of: x)) {
      let tiles = lines.count * inputs.across
      v.resize(16 * tiles, inputs.channels)
      dM.resize(16 * tiles, outputs.channels)
      inputs.gather(x.elements, lines, into: &v.elements)
      outputs.spread(dy.elements, lines, into: &dM.elements)
      dU.add(products: 16, dM.transposed, v)  // dU += dMᵀ V
      v.replace(byProducts: 16, dM, u)  // dV = dM U
      inputs.scatter(v.elements, lines, to: &dx.elements)
    }
    addKernelDerivative(dU, to: &dWeight)
    return dx
  }

  /// `U = G g Gᵀ` of every kernel g.
  ///
  /// - Returns: a stack of 16 matrices, `[inputs, outputs]` or `[outputs, inputs]`.
  private func kernels(_ weight: Matrix, inputsFirst: Bool) -> Matrix {
    let (inputs, outputs) = (inputs.channels, outputs.channels)
    precondition(weight.rows == outputs && weight.columns == 9 * inputs, "kernels of another size")
    var result = inputsFirst ? Matrix(16 * inputs, outputs) : Matrix(16 * outputs, inputs)
    let (stepO, stepI) = inputsFirst ? (1, outputs) : (inputs, 1)
    var u = result.elements.mutableSpan
    let g = weight.elements.span
    for o in 0..<outputs {
      for i in 0..<inputs {
        // G g, one column of the kernel after the other, then times Gᵀ.
        let (from, to) = (o * 9 * inputs + i, o * stepO + i * stepI)
        func column(_ kx: Int) -> SIMD4<Float> {
          let (a, b) = (g[from + kx * inputs], g[from + (3 + kx) * inputs])
          let c = g[from + (6 + kx) * inputs]
          return SIMD4(a, 0.5 * (a + b + c), 0.5 * (a - b + c), c)
        }
        let (a, b, c) = (column(0), column(1), column(2))
        let rows = (a, 0.5 * (a + b + c), 0.5 * (a - b + c), c)
        for row in 0..<4 {
          let place = to + 4 * row * inputs * outputs
          u[place] = rows.0[row]
          u[place + inputs * outputs] = rows.1[row]
          u[place + 2 * inputs * outputs] = rows.2[row]
          u[place + 3 * inputs * outputs] = rows.3[row]
        }
      }
    }
    return result
  }

  /// Adds `Gᵀ dU G`: the transpose of ``kernels(_:inputsFirst:)``.
  private func addKernelDerivative(_ dU: Matrix, to dWeight: inout Matrix) {
    let (inputs, outputs) = (inputs.channels, outputs.channels)
    precondition(
      dWeight.rows == outputs && dWeight.columns == 9 * inputs, "kernels of another size")
    var g = dWeight.elements.mutableSpan
    let u = dU.elements.span
    for o in 0..<outputs {
      for i in 0..<inputs {
        let (from, to) = (o * inputs + i, o * 9 * inputs + i)
        func column(_ q: Int) -> SIMD3<Float> {
          let (place, row) = (from + q * inputs * outputs, 4 * inputs * outputs)
          let (a, b) = (u[place], u[place + row])
          let (c, d) = (u[place + 2 * row], u[place + 3 * row])
          return SIMD3(a + 0.5 * (b + c), 0.5 * (b - c), d + 0.5 * (b + c))
        }
        let (a, b, c, d) = (column(0), column(1), column(2), column(3))
        let columns = (a + 0.5 * (b + c), 0.5 * (b - c), d + 0.5 * (b + c))
        for ky in 0..<3 {
          g[to + 3 * ky * inputs] += columns.0[ky]
          g[to + (3 * ky + 1) * inputs] += columns.1[ky]
          g[to + (3 * ky + 2) * inputs] += columns.2[ky]
        }
      }
    }
  }
}
