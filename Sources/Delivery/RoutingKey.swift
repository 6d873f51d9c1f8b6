/// A secret that is a field of the body (PagerDuty's `routing_key`); never printed, and in no outbox row.
package struct RoutingKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
  private let text: String

  /// - Throws: `.badRoutingKey`, which does not repeat the text: not 32 letters and digits.
  package init(_ text: String) throws(ReceiverError) {
    let isWord = text.utf8.allSatisfy { ($0 | 32 >= 97 && $0 | 32 <= 122) || (48...57).contains($0) }
    guard text.utf8.count == 32, isWord else { throw .badRoutingKey }
    self.text = text
  }

  package var description: String { "<routing key>" }
  package var customMirror: Mirror { Mirror(self, children: []) }

  /// The body with the key as its first field; a body that is no JSON object with a field is left as it is.
  package func completing(_ body: [UInt8]) -> [UInt8] {
    guard body.count > 2, body[0] == UInt8(ascii: "{") else { return body }
    return Array("{\"routing_key\":\"\(text)\",".utf8) + body.dropFirst()
  }
}
