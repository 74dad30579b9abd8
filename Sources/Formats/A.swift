import CImage
public func embedded() -> [UInt8] { PackageResources.digits_csv_gz }
public func zv() -> String { String(cString: zlibVersion()) }
