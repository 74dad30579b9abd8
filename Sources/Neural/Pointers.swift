/// Pointers to an array that is read and one that is written.
func withPointers(
  _ a: [Float], _ z: inout [Float],
  _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
  a.withUnsafeBufferPointer { a in
    z.withUnsafeMutableBufferPointer { z in
      if let a = a.baseAddress, let z = z.baseAddress { body(a, z) }
    }
  }
}

/// Pointers to two arrays that are read and one that is written.
func withPointers(
  _ a: [Float], _ b: [Float], _ z: inout [Float],
  _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
  withPointers(a, &z) { a, z in
    b.withUnsafeBufferPointer { b in
      if let b = b.baseAddress { body(a, b, z) }
    }
  }
}

/// Pointers to an array that is read and two that are written.
func withPointers(
  _ a: [Float], _ y: inout [Float], _ z: inout [Float],
  _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
  withPointers(a, &y) { a, y in
    z.withUnsafeMutableBufferPointer { z in
      if let z = z.baseAddress { body(a, y, z) }
    }
  }
}

/// Pointers to an array that is read and three that are written.
func withPointers(
  _ a: [Float], _ x: inout [Float], _ y: inout [Float], _ z: inout [Float],
  _ body: (
    UnsafePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
    UnsafeMutablePointer<Float>
  ) -> Void
) {
  withPointers(a, &x, &y) { a, x, y in
    z.withUnsafeMutableBufferPointer { z in
      if let z = z.baseAddress { body(a, x, y, z) }
    }
  }
}
