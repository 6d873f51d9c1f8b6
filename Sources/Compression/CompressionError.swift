/// Why bytes could not be packed, unpacked or read from a file.
package enum CompressionError: Error, Equatable, Sendable {
  /// The packed bytes end before what they announce.
  case truncated
  /// The packed bytes are not what they claim to be; the text is the library's and holds none of the content.
  case corrupt(String)
  /// Unpacked, the bytes would pass the caller's limit, in bytes.
  case tooLarge(limit: Int)
  /// The library could not get memory.
  case outOfMemory
  /// No file is at the path.
  case notFound(path: String)
  /// The operating system refused; `code` is `errno`.
  case io(path: String, code: Int32)
}
