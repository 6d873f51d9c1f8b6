import Glibc
import KeyValueStore

/// `STORE/damaged`: where rows that cannot be used are put aside, each in a file of its own, as kept on disk.
package enum DamagedPlace {
  static let folder = "/damaged"
  /// Bytes of a key in a file's name: a key may be longer than a name can be.
  static let keyBytesMax = 100

  /// Puts the bytes of a row aside; they are on disk when this returns.
  ///
  /// - Returns: the file's name, made of the family and the key.
  package static func put(
    _ kept: [UInt8], family: String, key: [UInt8], store path: String
  ) throws(BackupError) -> String {
    let place = path + folder
    try BackupFiles.makeFolder(place)
    let name = family + "-" + hexadecimal(key.prefix(keyBytesMax))
    try BackupFiles.write(kept, to: place + "/" + name, in: place)
    return name
  }

  private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
