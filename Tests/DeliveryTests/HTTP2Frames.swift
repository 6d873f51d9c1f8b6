/// The little of HTTP/2 framing (RFC 9113) a scripted peer needs.
enum HTTP2Frames {
  static func frame(type: UInt8, flags: UInt8, stream: Int, _ payload: [UInt8]) -> [UInt8] {
    [0, 0, UInt8(payload.count), type, flags, 0, 0, 0, UInt8(stream)] + payload
  }

  /// Which of the streams 1 and 3 the client has ended with a body of these bytes. Looked for as a whole frame: the tool
  /// that shows the client's bytes puts words of its own between them.
  static func endedStreams(_ bytes: [UInt8], body: [UInt8]) -> [Int] {
    [1, 3].filter { stream in
      let wanted = frame(type: 0, flags: 1, stream: stream, body)
      return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
    }
  }
}
