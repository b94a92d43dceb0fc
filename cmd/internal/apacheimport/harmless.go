package apacheimport

import "strings"

// ofProcess is the reason of what concerns Apache itself.
const ofProcess = "the server's own process and files"

// harmless are directives that have no counterpart because none is needed, by
// the reason, in lower case.
var harmless = map[string]string{
	"TLS 1.2 and 1.3 with today's ciphers are built in": `sslprotocol sslciphersuite sslhonorcipherorder sslsessioncache sslsessioncachetimeout sslsessiontickets
		sslsessionticketkeyfile sslusestapling sslstaplingcache sslstaplingresponsetimeout sslstaplingreturnrespondererrors sslstaplingfaketrylater
		sslstaplingstandardcachetimeout sslstaplingerrorcachetimeout sslcompression ssloptions sslopensslconfcmd sslrandomseed sslpassphrasedialog
		sslinsecurerenegotiation sslstrictsnivhostcheck sslcryptodevice sslfips sslpolicy sslcacertificatefile sslcacertificatepath sslcadnrequestfile
		sslcadnrequestpath sslcarevocationfile sslcarevocationpath sslcarevocationcheck sslverifydepth sslrenegbuffersize sslusername sslsrpverifierfile`,
	"backends are asked with TLS 1.2 and 1.3": `sslproxyprotocol sslproxyciphersuite sslproxyverifydepth sslproxycarevocationfile sslproxycarevocationcheck sslproxycacertificatepath`,
	"tls: auto obtains and renews certificates": `mdcertificateauthority mdcontactemail mdrenewwindow mdrenewmode mdrequirehttps mdprivatekeys mdcachallenges
		mdportmap mdstoredir mdhttpproxy mdmuststaple mdnotifycmd mdmessagecmd mdbaseserver mdcertificateprotocol mdwarnwindow mdstapling mdactivationdelay`,
	ofProcess: `loadmodule loadfile serveradmin serversignature servertokens pidfile mutex user group chrootdirectory scoreboardfile
		coredumpdirectory defaultruntimedir lockfile startservers minspareservers maxspareservers minsparethreads maxsparethreads threadlimit threadsperchild
		maxrequestworkers maxclients maxconnectionsperchild maxrequestsperchild serverlimit asyncrequestworkerfactor threadstacksize maxmemfree
		listenbacklog listencoresbucketsratio sendbuffersize receivebuffersize acceptfilter enablesendfile enablemmap gracefulshutdowntimeout
		acceptpathinfo extendedstatus seerequesttail proxystatus accessfilename hostnamelookups usecanonicalname usecanonicalphysicalport contentdigest namevirtualhost
		include includeoptional traceenable httpprotocoloptions mergetrailers mergeslashes cgipassauth flushmaxthreshold flushmaxpipelined unsetenvif serverpath
		regexdefaultoptions bufferedlogs limitinternalrecursion inputsed h2cserialize proxysourceaddress stricthostcheck`,
	"connections, HTTP/2 and their limits are built in": `keepalive keepalivetimeout maxkeepaliverequests protocols protocolshonororder h2direct h2upgrade h2push
		h2minworkers h2maxworkers h2maxworkeridleseconds h2maxsessionstreams h2windowsize h2streammaxmemsize h2moderntlsonly h2tlswarmupsize h2tlscooldownsecs
		h2earlyhints h2copyfiles h2pushpriority h2pushresource h2pushdiarysize h2padding h2outputbuffering h2serializeheaders requestreadtimeout
		limitrequestfields limitrequestfieldsize limitrequestline limitxmlrequestbody limitrequestrange`,
	"how wsfront forwards is built in": `proxyvia proxybadheader proxyiobuffersize proxyreceivebuffersize proxymaxforwards proxyblock noproxy proxydomain proxyaddheaders
		proxypassinherit proxypassinterpolateenv balancerinherit balancergrowth balancerpersist proxywebsocketfallbacktoproxyhttp proxywebsocketasync proxywebsocketasyncdelay
		proxywebsocketidletimeout proxyfcgibackendtype proxyfcgisetenvif proxyhctemplate proxyhcexpr proxyhctpsize proxyfcgiintercepterrors proxyscgiinternalredirect proxyexpressenable`,
	"events go to standard error, and the access log to standard output (journalctl -u wsfront)": `errorlog errorlogformat loglevel transferlog
		globallog cookielog logioenable logiotrackttfb rewritelog rewriteloglevel forensiclog cookietracking loglevelperdir`,
	"text is compressed as files are sent; answers of the app pass as the app sends them": `addoutputfilterbytype setoutputfilter deflatecompressionlevel deflatefilternote
		deflatebuffersize deflatewindowsize deflatememlevel addoutputfilter brotlicompressionquality brotlifilternote brotlicompressionwindow brotlialtertagetag deflatealteretag removeoutputfilter`,
	"types of files are known by their endings": `typesconfig addcharset adddefaultcharset addlanguage defaulttype forcetype mimemagicfile addencoding removetype removehandler
		languagepriority forcelanguagepriority multiviewsmatch removeencoding removecharset defaultlanguage addicon addiconbytype addiconbyencoding defaulticon indexoptions indexignore
		indexignorereset readmename headername adddescription indexorderdefault indexstylesheet fileetag modmimeusepathinfo directoryslash directoryindexredirect
		directorycheckhandler checkspelling indexheadinsert addalt addaltbytype addaltbyencoding`,
	"the addresses come from the vhosts": `listen`,
	"clients' addresses are known by themselves; behind another proxy write its address into trusted_proxies": `remoteipheader remoteipinternalproxy
		remoteiptrustedproxy remoteipproxiesheader remoteipinternalproxylist remoteiptrustedproxylist remoteipproxyprotocol remoteipproxyprotocolexceptions`,
	"settings of the app inside Apache: they go along with it, see below": `wsgiapplicationgroup wsgipassauthorization wsgisocketprefix wsgilazyinitialization wsgirestrictembedded
		wsgirestrictstdin wsgirestrictstdout wsgirestrictsignal wsgichunkedrequest wsgiimportscript wsgiscriptreloading wsgipythonoptimize wsgitrustedproxies
		wsgitrustedproxyheaders wsgierroroverride wsgipythonhashseed wsgipythondontwritebytecode wsgisockethandling wsgiverbosedebugging wsgicasesensitivity
		wsgiaccessscript wsgiauthuserscript fcgidconnecttimeout fcgidiotimeout fcgidmaxrequestlen fcgidwrapper fcgidmaxprocesses fcgididletimeout
		suexecusergroup fcgiwrapper
		svnpath svnparentpath svnlistparentpath authzsvnaccessfile svnpathauthz svnindexxslt svnautoversioning davlockdb davmintimeout davdepthinfinity davgenericlockdb
		fcgidinitialenv jkworkersfile jklogfile jkloglevel jkoptions jkshmfile jkmountcopy jkrequestlogformat jkstripsession assignuserid scriptsock rmode ruidgid rminuidgid rgroups rdefaultuidgid rdocumentchroot userdir`,
	"there is no access to protect": `authbasicauthoritative authmerging authzsendforbiddenonfailure authbasicusedigestalgorithm authncacheenable authncacheprovidefor`,
	"variables for the app, and for Apache's own conditions: no request that wsfront forwards has them":                                                         `browsermatchnocase setenvifexpr`,
	"wsfront sends ETag and Last-Modified, by which browsers ask again; headers: {set: {Cache-Control: \"max-age=86400\"}} at the route keeps files for longer": `expiresactive expiresbytype expiresdefault`,
	"what it rewrote was imported rule by rule": `rewriteoptions`,
}

// reasons are harmless the other way round.
var reasons = reasonsByName()

func reasonsByName() map[string]string {
	m := map[string]string{}
	for reason, names := range harmless {
		for name := range strings.FieldsSeq(names) {
			m[strings.ToLower(name)] = reason
		}
	}
	return m
}

func harmlessReason(name string) (string, bool) {
	why, ok := reasons[name]
	return why, ok
}

// gapFamilies are modules that have no counterpart, by how the names of their
// directives begin.
var gapFamilies = map[string]string{
	"shib":       "wsfront does not speak Shibboleth (SAML): keep Apache on loopback behind wsfront for it, or let the app ask who it is",
	"mellon":     "wsfront does not speak SAML: keep Apache on loopback behind wsfront for it, or let the app ask who it is",
	"oidc":       "wsfront does not speak OpenID Connect; let the app do so",
	"cas":        "wsfront does not speak CAS; let the app do so",
	"gssapi":     "wsfront does not speak Kerberos: keep Apache on loopback behind wsfront for it",
	"krb":        "wsfront does not speak Kerberos: keep Apache on loopback behind wsfront for it",
	"authldap":   "wsfront does not ask LDAP; let the app ask for the password",
	"authdbd":    "wsfront does not ask a database for passwords; let the app ask, or write basic_auth with a file made by htpasswd -B",
	"authdigest": "wsfront asks for passwords by Basic; write basic_auth with a file made by htpasswd -B",
	"sec":        "wsfront has no rules of ModSecurity: keep Apache on loopback behind wsfront for them",
	"proxyhtml":  "wsfront does not change the bodies of answers; have the app write the links that are meant",
	"lua":        "Lua has no counterpart: keep Apache on loopback behind wsfront for it, or have the app do it",
	"jk":         "wsfront does not speak AJP: have Tomcat listen with an HTTP connector, on 127.0.0.1:8080 say, and write a route with app: http://127.0.0.1:8080",
	"cache":      "wsfront caches nothing; a cache belongs behind it, in front of the app",
	"dos":        "wsfront counts no requests; max_tunnels_per_address limits WebSockets",
}

// gapOf says what to do about a directive that wsfront has no counterpart for;
// "" is none that is known.
func gapOf(name string) string {
	if todo := knownGaps[name]; todo != "" {
		return todo
	}
	for family, todo := range gapFamilies {
		if strings.HasPrefix(name, family) {
			return todo
		}
	}
	return ""
}

// knownGaps are directives that wsfront has no counterpart for, and what to do.
var knownGaps = map[string]string{
	"rewritemap":          "a table that is asked for each request has no counterpart; write a route for each of its lines, or have one backend choose",
	"errordocument":       "wsfront shows an error page of its own where the app does not answer; pages for the app's own errors are the app's",
	"proxyerroroverride":  "answers of the app are passed on as they are, errors included; have the app send the page that is meant",
	"substitute":          "wsfront does not change the bodies of answers; have the app write the links that are meant",
	"virtualdocumentroot": "a folder for each name has no counterpart; write a site for each name",
	"virtualscriptalias":  "a folder for each name has no counterpart; write a site for each name",
	"addexternalauth":     "wsfront asks for passwords by Basic, with a file of users; let the app ask, or write basic_auth",
	"proxyremote":         "wsfront reaches backends directly; write the address of the backend itself",
	"setinputfilter":      "wsfront does not change the bodies of requests",
	"bandwidth":           "wsfront does not limit bandwidth",
	"authgroupfile":       "wsfront knows no groups of users: write basic_auth with a file of those that are meant",
}
