wrk.method = "POST"
wrk.path = "/api/chat/sessions/create_session/"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"user_details":{"name":"John Doe","email":"john@example.com","phone":"+1234567890"}}'
