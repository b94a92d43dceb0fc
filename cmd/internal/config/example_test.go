package config_test

import (
	"fmt"

	"wsfront/cmd/internal/config"
)

func ExampleParse() {
	_, err := config.Parse("wsfront.yaml", []byte(`sites:
  - hosts: [review.example.com]
    routes:
      - path: /websocket
        push: {chanel: board}
      - path: /
        app: localhost:8080
`))
	fmt.Println(err)
	// Output:
	// wsfront.yaml:5:16: sites[0].routes[0].push.chanel: unknown key; did you mean channel?
	//     5 |         push: {chanel: board}
	//       |                ^
	// wsfront.yaml:7:14: sites[0].routes[1].app: "localhost:8080" has no scheme; write http://localhost:8080
	//     7 |         app: localhost:8080
	//       |              ^
}
