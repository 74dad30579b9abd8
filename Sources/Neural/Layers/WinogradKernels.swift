/// The transforms of kernels for Winograd's F(4×4, 3×3) (Lavin & Gray 2016, arXiv 1509.09308, §4.3).
extension Winograd {
  /// `U = G g Gᵀ` of every kernel g.
  ///
  /// - Parameter weight: `[outputs, 9·inputs]`, columns ordered (ky, kx, input).
  /// - Returns: a stack of 36 matrices, `[inputs, outputs]` or `[outputs, inputs]`.
  func kernels(_ weight: Matrix, inputsFirst: Bool) -> Matrix {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (inputs, outputs) = (inputs.channels, outputs.channels)
    precondition(weight.rows == outputs && weight.columns == 9 * inputs, "kernels of another size")
    // Kernels that lie side by side in U must do so in the weight, to be worked on as a vector.
    let weight = inputsFirst ? weight.flipped : weight
    let (rows, columns) = inputsFirst ? (inputs, outputs) : (outputs, inputs)
    // How far it is from one of a kernel's nine numbers to the next, and to the row below in U.
    let (next, below) = inputsFirst ? (rows * columns, columns) : (columns, 9 * columns)
    let place = rows * columns
    var result = Matrix(unset: 36 * rows, columns)
    withPointers(weight.elements, &result.elements) { weight, u in
      for r in 0..<rows {
        for c in vectors(columns) {
          let g = weight + r * below + c
          @inline(__always) func column(_ kx: Int) -> SixVectors {
            Self.kernel(g.vector(kx * next), g.vector((kx + 3) * next), g.vector((kx + 6) * next))
          }
          @inline(__always) func setRow(
            _ y: Int, _ g0: WinogradVector, _ g1: WinogradVector, _ g2: WinogradVector
          ) {
            Six(u + 6 * y * place, every: place).set(r * columns + c, Self.kernel(g0, g1, g2))
          }
          let (left, middle, right) = (column(0), column(1), column(2))
          setRow(0, left.0, middle.0, right.0)
          setRow(1, left.1, middle.1, right.1)
          setRow(2, left.2, middle.2, right.2)
          setRow(3, left.3, middle.3, right.3)
          setRow(4, left.4, middle.4, right.4)
          setRow(5, left.5, middle.5, right.5)
        }
      }
    }
    return result
  }

  /// Adds `Gᵀ dU G`: the transpose of ``kernels(_:inputsFirst:)``.
  ///
  /// - Parameters:
  ///   - dU: a stack of 36 matrices `[outputs, inputs]`.
  ///   - dWeight: `[outputs, 9·inputs]`
  func addKernelDerivative(_ dU: Matrix, to dWeight: inout Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (inputs, outputs) = (inputs.channels, outputs.channels)
    precondition(
      dWeight.rows == outputs && dWeight.columns == 9 * inputs && dU.rows == 36 * outputs
        && dU.columns == inputs, "kernels of another size")
    let place = inputs * outputs
    withPointers(dU.elements, &dWeight.elements) { dU, dWeight in
      for o in 0..<outputs {
        for i in vectors(inputs) {
          @inline(__always) func row(_ y: Int) -> ThreeVectors {
            Self.transposedKernel(
              Six(dU + 6 * y * place, every: place).vectors(o * inputs + i))
          }
          @inline(__always) func addColumn(_ kx: Int, _ u: SixVectors) {
            let (g, sums) = (dWeight + (9 * o + kx) * inputs + i, Self.transposedKernel(u))
            g.add(0, sums.0)
            g.add(3 * inputs, sums.1)
            g.add(6 * inputs, sums.2)
          }
          let (a, b, c, d, e, f) = (row(0), row(1), row(2), row(3), row(4), row(5))
          addColumn(0, (a.0, b.0, c.0, d.0, e.0, f.0))
          addColumn(1, (a.1, b.1, c.1, d.1, e.1, f.1))
          addColumn(2, (a.2, b.2, c.2, d.2, e.2, f.2))
        }
      }
    }
  }
}
