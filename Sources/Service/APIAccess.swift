import Configuration
import Digests
import HTTPAPI

/// Who may use `/v1` until there are users and roles: whoever is on this machine, or holds the one token (docs/answering.md).
enum APIAccess {
  /// Why a request is not served; nil: it is.
  static func refusal(_ request: HTTPRequest, _ configuration: VigilConfiguration) -> HTTPResponse? {
    if let token = configuration.api.token { return refusal(request, token: token.value) }
    guard configuration.listen.isLoopback, configuration.api.publicURL == nil else {
      return .problem(
        403, "not served",
        detail: "beyond this machine, or with api.public_url, set api.token and present it as a bearer token")
    }
    // A page of another site, loaded by a browser on this machine, can make its name point here; it cannot send ours.
    guard isLoopback(host: request.header("host") ?? "") else {
      return .problem(403, "not served", detail: "without api.token only requests to a loopback address are served")
    }
    return nil
  }

  private static func refusal(_ request: HTTPRequest, token: String) -> HTTPResponse? {
    let words = (request.header("authorization") ?? "").split(separator: " ", omittingEmptySubsequences: true)
    // Digests are of one length, so that the time taken does not tell the token's.
    if words.count == 2, words[0].lowercased() == "bearer",
      constantTimeEquals(sha256(String(words[1])), sha256(token))
    {
      return nil
    }
    var answer = HTTPResponse.problem(401, "not authorised", detail: "present api.token as Authorization: Bearer TOKEN")
    answer.headers.append(("WWW-Authenticate", "Bearer realm=\"vigil\""))
    return answer
  }

  static func isLoopback(host: String) -> Bool {
    var name = Substring(host)
    if let colon = name.lastIndex(of: ":"), name[name.index(after: colon)...].allSatisfy(\.isNumber),
      name.hasSuffix("]") || name.hasPrefix("[") || !name[..<colon].contains(":")
    {
      name = name[..<colon]
    }
    if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
    return NetworkAddress(host: String(name).lowercased(), port: 0).isLoopback
  }

  /// Why a body is not read: a form of another site could be sent here, JSON could not without asking first.
  static func bodyRefusal(_ request: HTTPRequest) -> HTTPResponse? {
    let type = (request.header("content-type") ?? "").prefix { $0 != ";" && $0 != " " }.lowercased()
    guard type == "application/json" else {
      return .problem(415, "not JSON", detail: "send Content-Type: application/json")
    }
    return nil
  }
}
