/// One complete request.
package struct HTTPRequest: Sendable {
  /// Upper case, as sent; a `HEAD` arrives as `GET`.
  package let method: String
  /// The decoded path segments joined with `/`; a decoded `/` inside a segment is refused before.
  package let path: String
  /// The decoded query, in order; a name without a value has an empty one.
  package let query: [(name: String, value: String)]
  /// In order, names in lower case.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]
  /// What the `{name}` parts of the route's pattern matched.
  package let parameters: [String: String]
  /// The peer's numeric address; empty when unknown.
  package let peer: String

  package init(
    method: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], body: [UInt8] = [], parameters: [String: String] = [:],
    peer: String = ""
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
    self.parameters = parameters
    self.peer = peer
  }

  /// The first header of that name, given in lower case.
  package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

  /// The first query value of that name.
  package func query(_ name: String) -> String? { query.first { $0.name == name }?.value }
}
