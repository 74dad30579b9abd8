import COpenBLAS
public func coreName() -> String { openblas_get_corename().map { String(cString: $0) } ?? "unknown" }
public func eig() -> Int { var a: [Double] = [2,1,1,2]; var w = [0.0, 0]; return Int(LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 86, 85, 2, &a, 2, &w)) }
