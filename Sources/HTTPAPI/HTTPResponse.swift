/// What a handler answers.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)]
  package var body: [UInt8]

  package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// A JSON body, already serialised.
  package static func json(_ body: [UInt8], status: Int = 200) -> HTTPResponse {
    HTTPResponse(status: status, headers: [("Content-Type", "application/json")], body: body)
  }

  /// Plain text in UTF-8, or another text type.
  package static func text(
    _ text: String, status: Int = 200, type: String = "text/plain; charset=utf-8"
  ) -> HTTPResponse {
    HTTPResponse(status: status, headers: [("Content-Type", type)], body: Array(text.utf8))
  }

  /// A problem document (RFC 9457) of type `about:blank`.
  ///
  /// - Parameter detail: what to do about it; never patient data.
  package static func problem(_ status: Int, _ title: String, detail: String? = nil) -> HTTPResponse {
    var text = "{\"type\":\"about:blank\",\"title\":\(quoted(title)),\"status\":\(status)"
    if let detail { text += ",\"detail\":\(quoted(detail))" }
    text += "}"
    return HTTPResponse(
      status: status, headers: [("Content-Type", "application/problem+json")], body: Array(text.utf8))
  }

  /// A JSON string literal.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\u{0}"..<"\u{20}":
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
